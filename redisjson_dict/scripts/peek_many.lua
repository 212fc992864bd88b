#!lua flags=no-writes
-- needs: foreign
-- For each key the text of a scalar document, the kind of a container, nil where nothing is, the
-- refusal of `foreign` for a key of another Redis type.
local found = {'+'}
for i = 1, #KEYS do
  local kinds = redis.pcall('JSON.TYPE', KEYS[i], '$')
  if kinds and kinds.err then
    found[i + 1] = foreign(KEYS[i]) or kinds
  else
    local kind = kinds and kinds[1] or false
    if kind and kind ~= 'object' and kind ~= 'array' then
      kind = redis.call('JSON.GET', KEYS[i], '$')
    end
    found[i + 1] = kind
  end
end
return found
