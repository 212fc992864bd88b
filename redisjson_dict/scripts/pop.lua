#!lua flags=allow-oom
-- needs: place, erase
if not locate() then return absence() end
local text = redis.call('JSON.GET', key, path)
erase()
return text
