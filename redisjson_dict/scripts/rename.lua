#!lua flags=allow-oom
-- needs: foreign
local key = KEYS[1]
local alien = foreign(key) or foreign(KEYS[2])
if alien then return alien end
if not redis.call('JSON.TYPE', key, '$') then return 0 end
if key ~= KEYS[2] then redis.call('RENAME', key, KEYS[2]) end
return 1
