#!lua
-- needs: place, repair, rights
-- ARGV: how many members, a step and a text for each, repairs.
if locate() ~= 'object' then return absence() end
local last = first + 2 * tonumber(ARGV[first])
local no = unrepairable(last + 1)
if no then return no end
for at = first + 1, last, 2 do redis.call('JSON.SET', key, path .. ARGV[at], ARGV[at + 1]) end
repair(key, path, last + 1)
return 1
