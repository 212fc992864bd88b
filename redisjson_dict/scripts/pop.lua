#!lua flags=allow-oom
-- needs: place, erase
-- Replies the text of what it removes, in brackets as JSON.GET does.
if not locate() then return absence() end
local index, array = element()
if index then return '[' .. redis.call('JSON.ARRPOP', key, array, index)[1] .. ']' end
local text = redis.call('JSON.GET', key, path)
erase()
return text
