#!lua flags=no-writes
-- needs: place, spelled
-- ARGV: how many children, how many bytes of a scalar. Replies what is there without its content:
-- the kind and the text of a scalar, cut, and its size; or the kind, how many children, the names of
-- the first of them as one JSON text, and of these the kinds, the cut texts of scalars, and the sizes:
-- bytes, members or elements, -1 where a name keeps the server from saying.
local kind = locate()
if not kind then return absence() end
local most, size = tonumber(ARGV[first]), tonumber(ARGV[first + 1])

local function cut(where)
  local text = redis.call('JSON.GET', key, where)
  return string.sub(text, 2, math.min(#text - 1, size + 1)), #text - 2
end

if kind ~= 'object' and kind ~= 'array' then return {kind, cut(path)} end
local names, count, kinds = {}, nil, {}
if kind == 'object' then
  local all = redis.call('JSON.OBJKEYS', key, path)[1]
  count = #all
  for i = 1, math.min(count, most) do names[i] = all[i] end
  kinds = redis.call('JSON.TYPE', key, path .. '[*]')
else
  count = redis.call('JSON.ARRLEN', key, path)[1]
  kinds = redis.call('JSON.TYPE', key, string.format('%s[0:%d]', path, most))
end
local shown, texts, sizes = {}, {}, {}
for i = 1, math.min(count, most) do
  local step = string.format('[%d]', i - 1)
  local measured = step
  if names[i] then
    step, measured = '[' .. quoted(names[i]) .. ']', spelled(names[i])
  end
  shown[i], texts[i], sizes[i] = kinds[i], '', -1
  if kinds[i] == 'array' then
    sizes[i] = measured and redis.call('JSON.ARRLEN', key, path .. measured)[1] or -1
  elseif kinds[i] == 'object' then
    sizes[i] = measured and redis.call('JSON.OBJLEN', key, path .. measured)[1] or -1
  elseif not names[i] or string.byte(names[i]) ~= 32 then
    texts[i], sizes[i] = cut(path .. step)
  end
end
return {kind, count, #names > 0 and cjson.encode(names) or '[]', shown, texts, sizes}
