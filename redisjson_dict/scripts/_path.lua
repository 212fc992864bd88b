-- The whole path of the place, or nil where an index counts from the end. Scripts start with what is
-- most often so, before the rest is even made: a closure costs the server a microsecond.
local path = ARGV[1]
for i = 3, ARGV[2] + 2 do
  if string.byte(ARGV[i]) == 45 then
    path = nil
    break
  end
  path = path .. ARGV[i]
end
