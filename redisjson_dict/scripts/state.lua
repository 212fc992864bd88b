#!lua flags=no-writes
-- What a key holds: its Redis type, the text of a document or of a string, and the moment it ends in
-- milliseconds since the epoch (-1: never).
local key = KEYS[1]
local kind = redis.call('TYPE', key).ok
local text = false
if kind == 'ReJSON-RL' then
  text = redis.call('JSON.GET', key, '$')
elseif kind == 'string' then
  text = redis.call('GET', key)
end
return {kind, text, redis.call('PEXPIRETIME', key)}
