#!lua flags=allow-oom
-- needs: path
-- Replies the text of what it removes, in brackets as JSON.GET does.
local last = ARGV[ARGV[2] + 2]
if path and ARGV[2] ~= '0' and path ~= '$' .. last then -- for what is at the root see `erase`
  local text = redis.pcall('JSON.GET', KEYS[1], path)
  if type(text) == 'string' and text ~= '[]' then
    local removed = redis.pcall('JSON.DEL', KEYS[1], path)
    if type(removed) == 'number' and removed > 0 then return text end
  end
end
-- needs: place, erase
if not locate() then return absence() end
local index, array = element()
if index then return '[' .. redis.call('JSON.ARRPOP', key, array, index)[1] .. ']' end
local text = redis.call('JSON.GET', key, path)
erase()
return text
