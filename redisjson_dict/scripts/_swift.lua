-- Permanent documents, few enough for one command, which stores none if a key is foreign.
local count = #KEYS

-- Whether something on the server may have a time to live. Nobody needs the right to INFO for it.
local function mortal()
  local told, may = pcall(redis.acl_check_cmd, 'INFO', 'keyspace')
  local info = told and may and redis.pcall('INFO', 'keyspace')
  return type(info) ~= 'string' or not string.find(info, 'expires=') or string.find(info, 'expires=[1-9]')
end

local function swift()
  if count > 2000 or ARGV[count + 1] ~= '' or ARGV[count + 2] then return false end
  if not redis.acl_check_cmd('JSON.MSET', KEYS[1]) or not redis.acl_check_cmd('PERSIST', KEYS[1]) then
    return false
  end
  local arguments, size = {}, 0
  for i = 1, count do
    arguments[size + 1], arguments[size + 2], arguments[size + 3] = KEYS[i], '$', ARGV[i]
    size = size + 3
  end
  if redis.pcall('JSON.MSET', unpack(arguments)).err then return false end
  for i = 1, mortal() and count or 0 do redis.call('PERSIST', KEYS[i]) end
  return true
end
