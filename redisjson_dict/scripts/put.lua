#!lua
-- needs: document, repair, lifetime
-- ARGV: text, lifetime, repairs. JSON.SET keeps a time to live and refuses a foreign key.
local stored = redis.pcall('JSON.SET', key, '$', ARGV[1])
if stored.err then return foreign(key) or stored end
repair(key, '$', 3)
live(key, ARGV[2])
return 1
