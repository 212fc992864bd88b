#!lua flags=no-writes
-- needs: place
-- ARGV: the kind that must be there, '' for either container.
local kind = locate()
if ARGV[first] == '' or kind == ARGV[first] then
  if kind == 'object' then return redis.call('JSON.OBJLEN', key, path)[1] end
  if kind == 'array' then return redis.call('JSON.ARRLEN', key, path)[1] end
end
return absence()
