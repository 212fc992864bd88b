#!lua
-- needs: place, array, cut, repair, rights
-- ARGV: start, stop, how many texts, the texts, repairs: quadruples of the text's number, the path
-- below it, the increment, the float wanted. Replaces the slice; {'>'} where that is too much for
-- single pops.
if locate() ~= 'array' then return absence() end
local no = refused('JSON.ARRTRIM', 'JSON.ARRPOP', 'JSON.CLEAR', 'JSON.ARRAPPEND', 'JSON.ARRINSERT')
  or unrepairable(first + 3 + tonumber(ARGV[first + 2]))
if no then return no end
local length = length_of()
local i, j = clamp(tonumber(ARGV[first]), length), clamp(tonumber(ARGV[first + 1]), length)
if j < i then j = i end
if i > 0 and j < length and j - i > 1000 then return {'>'} end
cut(i, j, length)
local from, count = first + 3, tonumber(ARGV[first + 2])
for done = 0, count - 1, 4000 do -- unpack takes about 8,000 values
  local chunk = math.min(done + 4000, count)
  if i == length - (j - i) then
    redis.call('JSON.ARRAPPEND', key, path, unpack(ARGV, from + done, from + chunk - 1))
  else
    redis.call('JSON.ARRINSERT', key, path, i + done, unpack(ARGV, from + done, from + chunk - 1))
  end
end
for at = from + count, #ARGV, 4 do
  repair(key, path .. string.format('[%d]', i + tonumber(ARGV[at])), at + 1, at + 3)
end
return 1
