-- A key of another Redis type is not ours to touch.
local function foreign(document)
  local kind = redis.call('TYPE', document).ok
  return kind ~= 'none' and kind ~= 'ReJSON-RL' and {'!', kind, document}
end
