#!lua flags=allow-oom
-- needs: place, array, cut
-- ARGV: start and stop of the slice to remove. {'>'} where that is too much for single pops.
if locate() ~= 'array' then return absence() end
local length = length_of()
local i, j = clamp(tonumber(ARGV[first]), length), clamp(tonumber(ARGV[first + 1]), length)
if i > 0 and j < length and j - i > 1000 then return {'>'} end
cut(i, j, length)
return 1
