-- ARGV: the SHA-1 of the text that was read, the new text, repairs.
local function compare_and_set()
  if not locate() then return absence() end
  local now = redis.call('JSON.GET', key, path)
  if redis.sha1hex(now) ~= ARGV[first] then return {'~', now} end
  local no = unrepairable(first + 2)
  if no then return no end
  redis.call('JSON.SET', key, path, ARGV[first + 1])
  repair(key, path, first + 2)
  return 1
end
