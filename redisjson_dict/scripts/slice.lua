#!lua flags=no-writes
-- needs: place
-- ARGV: start, stop, step, each '' when not given. A path has no negative step: the same elements
-- are replied in ascending order. Follows Python's slice.indices.
if locate() ~= 'array' then return absence() end
local length = redis.call('JSON.ARRLEN', key, path)[1]
local step = tonumber(ARGV[first + 2]) or 1
local lowest, highest = 0, length
if step < 0 then lowest, highest = -1, length - 1 end
local function bound(text, missing)
  local index = tonumber(text)
  if not index then return missing end
  if index < 0 then return math.max(length + index, lowest) end
  return math.min(index, highest)
end
local start = bound(ARGV[first], step < 0 and highest or lowest)
local stop = bound(ARGV[first + 1], step < 0 and lowest or highest)
local count = math.max(0, math.ceil((stop - start) / step))
if count == 0 then return '[]' end
if step < 0 then
  start, stop, step = start + (count - 1) * step, start + 1, -step
end
return redis.call('JSON.GET', key, path .. string.format('[%d:%d:%d]', start, stop, step))
