#!lua flags=no-writes
-- needs: place, spelled
-- ARGV: how many members the first page has. Replies all names as one JSON text, all kinds as one
-- letter each, and a JSON text: of the scalars of the first page in order; or, where one of them
-- has a name that cannot be read by path, of the whole object (after a '*').
if locate() ~= 'object' then return absence() end
local names = redis.call('JSON.OBJKEYS', key, path)[1]
local count = #names
if count == 0 then return {'[]', '', '[]'} end
local kinds = redis.call('JSON.TYPE', key, path .. '[*]')
local page = math.min(count, tonumber(ARGV[first]))
local letters, wanted, whole = {}, {}, false
for i = 1, count do
  local kind = kinds[i]
  letters[i] = kind == 'object' and 'o' or kind == 'array' and 'a' or 's'
  if i <= page and letters[i] == 's' then
    whole = whole or string.byte(names[i]) == 32
    wanted[#wanted + 1] = quoted(names[i])
  end
end
local text = '[]'
if whole then
  text = '*' .. redis.call('JSON.GET', key, path)
elseif #wanted == count then
  text = redis.call('JSON.GET', key, path .. '[*]')
elseif #wanted > 0 then
  text = redis.call('JSON.GET', key, path .. '[' .. table.concat(wanted, ',') .. ']')
end
return {cjson.encode(names), table.concat(letters), text}
