#!lua
-- needs: place, repair
-- ARGV: the text, the length to keep ('' for all), repairs below the element.
if locate() ~= 'array' then return absence() end
local length = redis.call('JSON.ARRAPPEND', key, path, ARGV[first])[1]
repair(key, string.format('%s[%d]', path, length - 1), first + 2)
local keep = ARGV[first + 1]
if keep == '0' then
  redis.call('JSON.CLEAR', key, path)
elseif keep ~= '' and length > tonumber(keep) then
  redis.call('JSON.ARRTRIM', key, path, '-' .. keep, -1)
end
return 1
