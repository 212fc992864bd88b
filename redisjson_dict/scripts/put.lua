#!lua
-- needs: foreign, repair, lifetime, rights
-- ARGV: text, lifetime, repairs. JSON.SET keeps a time to live and refuses a foreign key.
local key = KEYS[1]
local no = refused(string.match(ARGV[2], '%d') and 'PEXPIRE' or 'PERSIST') or unrepairable(3)
if no then return no end
local kept = keeps(key, ARGV[2])
local stored = redis.pcall('JSON.SET', key, '$', ARGV[1])
if stored.err then return foreign(key) or stored end
repair(key, '$', 3)
if not kept then live(key, ARGV[2]) end
return 1
