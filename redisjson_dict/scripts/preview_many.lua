#!lua flags=no-writes
-- needs: foreign, spelled, look
-- ARGV: what the look at all of them together may cost; see `_look.lua`. For each key what is
-- there, nil where nothing is, the refusal of `foreign` for a key of another Redis type.
local found, share = {'+'}, tonumber(ARGV[1])
for i = 1, #KEYS do
  local kinds = redis.pcall('JSON.TYPE', KEYS[i], '$')
  if kinds and kinds.err then
    found[i + 1] = foreign(KEYS[i]) or kinds
  else
    local node, cost = kinds and kinds[1] or false, 0
    if node then
      node, cost = look_at(KEYS[i], '$', node, math.floor(share / (#KEYS - i + 1)))
    end
    found[i + 1] = node
    share = math.max(share - cost, 0)
  end
end
return found
