#!lua flags=no-writes
-- needs: place
-- ARGV: what follows the '$' of a JSONPath.
if not locate() then return absence() end
return redis.call('JSON.GET', key, path .. ARGV[first])
