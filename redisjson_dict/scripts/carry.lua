#!lua
-- needs: foreign, repair, rights
-- ARGV: text, the moment it ends in milliseconds since the epoch (or nothing), whether a document
-- that is there is replaced ('1'), repairs. Returns whether it was stored.
local key = KEYS[1]
local no = refused(ARGV[2] ~= '' and 'PEXPIREAT' or 'PERSIST') or unrepairable(4)
if no then return no end
if ARGV[3] ~= '1' and redis.call('EXISTS', key) == 1 then return foreign(key) or 0 end
local stored = redis.pcall('JSON.SET', key, '$', ARGV[1])
if stored.err then return foreign(key) or stored end
repair(key, '$', 4)
if ARGV[2] ~= '' then
  redis.call('PEXPIREAT', key, ARGV[2])
else
  redis.call('PERSIST', key)
end
return 1
