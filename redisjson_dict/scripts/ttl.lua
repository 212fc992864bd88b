#!lua flags=no-writes
-- needs: foreign
local key = KEYS[1]
return foreign(key) or redis.call('PTTL', key)
