-- Remove the elements from i up to, but not including, j.
local function cut(i, j, length)
  if i >= j then return end
  if i == 0 and j == length then
    redis.call('JSON.CLEAR', key, path)
  elseif j == length then
    redis.call('JSON.ARRTRIM', key, path, 0, i - 1)
  elseif i == 0 then
    redis.call('JSON.ARRTRIM', key, path, j, -1)
  else
    for at = j - 1, i, -1 do redis.call('JSON.ARRPOP', key, path, at) end
  end
end
