#!lua
-- needs: foreign, place, peek, repair, lifetime, rights
-- ARGV: '$', '0', text, lifetime, repairs. Replies what is there, or nil after storing it.
local alien = foreign(key)
if alien then return alien end
if redis.call('JSON.TYPE', key, '$') then return peek('$') end
local no = refused('JSON.SET', 'PERSIST', 'PEXPIRE') or unrepairable(5)
if no then return no end
redis.call('JSON.SET', key, '$', ARGV[3])
repair(key, '$', 5)
live(key, ARGV[4])
return false
