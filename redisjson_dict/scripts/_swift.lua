-- Permanent documents, few enough for one command, which stores none if a key is foreign; they need no
-- repairs. Needs `count`, `refused` and `mortal`.
local AT_ONCE = 2000 -- keys in one command: unpack takes about 8,000 values

local function swift()
  if count > AT_ONCE or ARGV[count + 1] ~= '' or ARGV[count + 2] then return false end
  if refused('JSON.MSET', 'PERSIST') then return false end
  local arguments, size = {}, 0
  for i = 1, count do
    arguments[size + 1], arguments[size + 2], arguments[size + 3] = KEYS[i], '$', ARGV[i]
    size = size + 3
  end
  if redis.pcall('JSON.MSET', unpack(arguments)).err then return false end
  if mortal() then
    for i = 1, count do redis.call('PERSIST', KEYS[i]) end
  end
  return true
end
