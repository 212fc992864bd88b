#!lua flags=allow-oom
-- needs: foreign
-- ARGV: PEXPIRE, PEXPIREAT or PERSIST, and its argument. Replies nil where there is no document.
local key = KEYS[1]
local alien = foreign(key)
if alien then return alien end
if redis.call('EXISTS', key) == 0 then return false end
if ARGV[1] == 'PERSIST' then return redis.call('PERSIST', key) end
if ARGV[1] == 'PEXPIRE' then return redis.call('PEXPIRE', key, ARGV[2]) end
return redis.call('PEXPIREAT', key, ARGV[2])
