-- What becomes of a whole document's time to live when it is assigned: a number of milliseconds,
-- none to make it permanent; after a 'k' only if the document is new.
local function keeps(document, lifetime)
  return string.byte(lifetime) == 107 and redis.call('EXISTS', document) == 1
end

local function live(document, lifetime)
  local span = string.match(lifetime, '%d+')
  if span then
    redis.call('PEXPIRE', document, span)
  else
    redis.call('PERSIST', document)
  end
end
