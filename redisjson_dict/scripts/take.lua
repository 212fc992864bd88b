#!lua flags=allow-oom
-- needs: foreign
local key = KEYS[1]
local alien = foreign(key)
if alien then return alien end
local text = redis.call('JSON.GET', key, '$')
if text then redis.call('JSON.DEL', key) end
return text
