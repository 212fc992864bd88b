#!lua flags=no-writes
-- What each key holds: its Redis type, the text of a document or of a string, and the moment it ends
-- in milliseconds since the epoch (-1: never).
local found = {'+'}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local text = false
  if kind == 'ReJSON-RL' then
    text = redis.call('JSON.GET', key, '$')
  elseif kind == 'string' then
    text = redis.call('GET', key)
  end
  found[i + 1] = {kind, text, redis.call('PEXPIRETIME', key)}
end
return found
