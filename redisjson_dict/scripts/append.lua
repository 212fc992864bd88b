#!lua
-- needs: place, repair, rights
-- ARGV: the text, the length to keep ('' for all), repairs below the element.
if locate() ~= 'array' then return absence() end
local no = refused('JSON.ARRAPPEND') or unrepairable(first + 2)
if not no and ARGV[first + 1] ~= '' then no = refused('JSON.ARRTRIM', 'JSON.CLEAR') end
if no then return no end
local length = redis.call('JSON.ARRAPPEND', key, path, ARGV[first])[1]
repair(key, path .. string.format('[%d]', length - 1), first + 2)
local keep = ARGV[first + 1]
if keep == '0' then
  redis.call('JSON.CLEAR', key, path)
elseif keep ~= '' and length > tonumber(keep) then
  redis.call('JSON.ARRTRIM', key, path, '-' .. keep, -1)
end
return 1
