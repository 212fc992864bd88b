-- Whether something on the server may have a time to live; where INFO may not tell, it is taken for so.
local function mortal()
  local told, may = pcall(redis.acl_check_cmd, 'INFO', 'keyspace')
  local info = told and may and redis.pcall('INFO', 'keyspace')
  return type(info) ~= 'string' or not string.find(info, 'expires=') or string.find(info, 'expires=[1-9]')
end
