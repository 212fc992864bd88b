#!lua
-- needs: place, peek, repair
-- ARGV: text, repairs. Replies what is there, or nil after storing it.
if locate() then return peek(path) end
local why = absence()
local member = string.find(ARGV[steps + 2], '^%[["\']')
if not (member and why[1] == '?' and why[2] == steps - 1 and why[3] == 'object') then return why end
redis.call('JSON.SET', key, path, ARGV[first])
repair(key, path, first + 1)
return false
