#!lua flags=no-writes
-- needs: place, array, search
-- ARGV: start, stop, the texts to look for.
if locate() ~= 'array' then return absence() end
local length = length_of()
return search(clamp(tonumber(ARGV[first]), length), clamp(tonumber(ARGV[first + 1]), length), first + 2)
