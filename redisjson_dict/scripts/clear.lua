#!lua flags=allow-oom
-- needs: place
-- ARGV: the kind that must be there, '' for either container.
local kind = locate()
local wanted = ARGV[first]
if kind ~= wanted and not (wanted == '' and (kind == 'object' or kind == 'array')) then
  return absence()
end
redis.call('JSON.CLEAR', key, path)
return 1
