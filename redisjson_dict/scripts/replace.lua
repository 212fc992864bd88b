#!lua
-- needs: place, repair, rights
-- ARGV: the kind that must be there ('' for any), text, repairs.
local kind = locate()
if not kind or (ARGV[first] ~= '' and kind ~= ARGV[first]) then return absence() end
local no = unrepairable(first + 2)
if no then return no end
redis.call('JSON.SET', key, path, ARGV[first + 1])
repair(key, path, first + 2)
return 1
