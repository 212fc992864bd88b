-- A value as a reader wants it: JSON text of a scalar, the kind of a container.
local function peek(where)
  local kind = kind_at(where)
  if not kind or kind == 'object' or kind == 'array' then return kind or false end
  return redis.call('JSON.GET', key, where)
end
