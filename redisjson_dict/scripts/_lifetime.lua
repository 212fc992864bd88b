-- What becomes of a whole document's time to live: '' makes it permanent, 'keep' leaves it,
-- a number of milliseconds sets it.
local function live(document, lifetime)
  if lifetime == '' then
    redis.call('PERSIST', document)
  elseif lifetime ~= 'keep' then
    redis.call('PEXPIRE', document, lifetime)
  end
end
