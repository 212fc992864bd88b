-- The index and the array's path of an element that `path` leads to; nothing for a member.
local function element()
  local step = ARGV[steps + 2]
  local index = string.match(step, '^%[(%d+)%]$')
  if index then return index, string.sub(path, 1, #path - #step) end
end

-- Remove what `path` leads to by its last step. RedisJSON 8 deletes a document whose root JSON.DEL
-- empties, so members of the root go by a merge, and the last one by JSON.CLEAR.
local function erase()
  local index, array = element()
  local step = ARGV[steps + 2]
  if index then
    redis.call('JSON.ARRPOP', key, array, index)
  elseif path ~= '$' .. step then
    redis.call('JSON.DEL', key, path)
  elseif redis.call('JSON.OBJLEN', key, '$')[1] == 1 then
    redis.call('JSON.CLEAR', key, '$')
  else
    local name = string.match(step, '^%.(.*)') or string.sub(step, 3, -3)
    redis.call('JSON.MERGE', key, '$', '{' .. cjson.encode(name) .. ':null}')
  end
end
