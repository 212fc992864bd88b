-- The array at `path`: its length, and Python's rules for the ends of a slice.
local function length_of()
  return redis.call('JSON.ARRLEN', key, path)[1]
end

local function clamp(index, length)
  if index < 0 then return math.max(length + index, 0) end
  return math.min(index, length)
end
