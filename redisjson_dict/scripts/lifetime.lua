#!lua flags=allow-oom
-- needs: foreign
-- ARGV: PEXPIRE, PEXPIREAT or PERSIST, and its argument. Replies nil where there is no document.
local key = KEYS[1]
local alien = foreign(key)
if alien then return alien end
if redis.call('EXISTS', key) == 0 then return false end
return redis.call(ARGV[1], key, unpack(ARGV, 2))
