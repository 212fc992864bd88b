#!lua flags=allow-oom
local dropped = 0
for i = 1, #KEYS do
  if redis.call('TYPE', KEYS[i]).ok == 'ReJSON-RL' then
    dropped = dropped + redis.call('JSON.DEL', KEYS[i])
  end
end
return dropped
