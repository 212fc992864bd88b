-- Floats that no spelling carries: from ARGV[from] to ARGV[last], triples of a path below `where`,
-- the increment that is missing, and the float wanted. A server whose parser got it right needs
-- nothing.
local function repair(document, where, from, last)
  for at = from, last or #ARGV, 3 do
    local place = where .. ARGV[at]
    local stored = string.sub(redis.call('JSON.GET', document, place), 2, -2)
    if tonumber(stored) ~= tonumber(ARGV[at + 2]) then
      redis.call('JSON.NUMINCRBY', document, place, ARGV[at + 1])
    end
  end
end
