#!lua
-- needs: place, peek, repair, lifetime, foreign
-- ARGV: '$', '0', text, lifetime, repairs. Replies what is there, or nil after storing it.
local alien = foreign(key)
if alien then return alien end
if kind_at('$') then return peek('$') end
redis.call('JSON.SET', key, '$', ARGV[3])
repair(key, '$', 5)
live(key, ARGV[4])
return false
