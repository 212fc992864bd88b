#!lua
-- needs: place, repair, rights
-- ARGV: the patch, repairs.
if locate() ~= 'object' then return absence() end
local no = unrepairable(first + 1)
if no then return no end
redis.call('JSON.MERGE', key, path, ARGV[first])
repair(key, path, first + 1)
return 1
