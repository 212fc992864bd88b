#!lua flags=allow-oom
-- needs: foreign
local key = KEYS[1]
local alien = foreign(key) or foreign(KEYS[2])
if alien then return alien end
if redis.call('EXISTS', key) == 0 then return 0 end
if key ~= KEYS[2] then redis.call('RENAME', key, KEYS[2]) end
return 1
