#!lua flags=no-writes
-- needs: document
return foreign(key) or redis.call('PTTL', key)
