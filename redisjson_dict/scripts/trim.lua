#!lua flags=allow-oom
-- needs: place, array
-- ARGV: start and stop of the slice to keep.
if locate() ~= 'array' then return absence() end
local length = length_of()
local i, j = clamp(tonumber(ARGV[first]), length), clamp(tonumber(ARGV[first + 1]), length)
if i >= j then
  redis.call('JSON.CLEAR', key, path)
elseif j - i < length then
  redis.call('JSON.ARRTRIM', key, path, i, j - 1)
end
return 1
