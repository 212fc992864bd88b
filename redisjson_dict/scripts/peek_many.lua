#!lua flags=no-writes
-- For each key the text of a scalar document, the kind of a container, nil for anything else.
local found = {'+'}
for i = 1, #KEYS do
  local kinds = redis.pcall('JSON.TYPE', KEYS[i], '$')
  local kind = kinds and not kinds.err and kinds[1]
  if kind and kind ~= 'object' and kind ~= 'array' then
    kind = redis.call('JSON.GET', KEYS[i], '$')
  end
  found[i + 1] = kind
end
return found
