#!lua flags=no-writes
-- needs: place
-- ARGV: where a page of an array starts and how many elements it has at most. Replies the kinds as
-- one letter each and the scalars among them, in order, as one JSON text.
if locate() ~= 'array' then return absence() end
local start = tonumber(ARGV[first])
local slice = string.format('[%d:%d]', start, start + tonumber(ARGV[first + 1]))
local kinds = redis.call('JSON.TYPE', key, path .. slice)
local letters, wanted = {}, {}
for i = 1, #kinds do
  local kind = kinds[i]
  letters[i] = kind == 'object' and 'o' or kind == 'array' and 'a' or 's'
  if letters[i] == 's' then wanted[#wanted + 1] = string.format('%d', start + i - 1) end
end
local text = '[]'
if #wanted == #kinds and #kinds > 0 then
  text = redis.call('JSON.GET', key, path .. slice)
elseif #wanted > 0 then
  text = redis.call('JSON.GET', key, path .. '[' .. table.concat(wanted, ',') .. ']')
end
return {table.concat(letters), text}
