#!lua
-- needs: place, repair
-- ARGV: the patch, repairs.
if locate() ~= 'object' then return absence() end
redis.call('JSON.MERGE', key, path, ARGV[first])
repair(key, path, first + 1)
return 1
