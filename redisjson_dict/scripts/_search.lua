-- The smallest index in [start, stop) of any of the texts ARGV[from..], or -1. JSON.ARRINDEX tells
-- 1, 1.0 and true apart, Python does not: equal values come as several texts. It reads a stop of 0
-- as "to the end".
local function search(start, stop, from)
  local best = -1
  if start < stop then
    for at = from, #ARGV do
      local found = redis.call('JSON.ARRINDEX', key, path, ARGV[at], start, stop)[1]
      if found >= 0 and (best < 0 or found < best) then best = found end
    end
  end
  return best
end
