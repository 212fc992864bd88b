-- A bounded look at a value. What is small comes as its JSON text; of anything else a part:
--   {'o', members, name, value, name, value, ...}  an object, as far as it is shown
--   {'a', elements, value, value, ...}             an array
--   {'t', bytes, start}                            a long text, or name, and how it starts
--   {'u', kind}                                    what no command finds the length of
-- A share is what a look may cost: one for each value, one more for each 50 bytes of text or name.
local WIDE, DEEP, LONG, MANY, READ = 100, 20, 400, 10000, 65536

local function cost_of(bytes)
  return math.floor(math.min(bytes, LONG) / 50)
end

-- The text of a value that is small in every way, and its cost; nil for any other. It is measured
-- level by level, since wildcards pass through names that no path can spell.
local function whole(key, path, share)
  local where, width, cost = path, 1, 0
  for _ = 0, DEEP do
    local texts = redis.call('JSON.STRLEN', key, where)
    local objects = redis.call('JSON.OBJLEN', key, where)
    local arrays = redis.call('JSON.ARRLEN', key, where)
    if #texts ~= width or #objects ~= width or #arrays ~= width then return end
    local below = 0
    cost = cost + width
    for i = 1, width do
      if texts[i] and texts[i] > LONG then return end
      cost = cost + cost_of(texts[i] or 0)
      below = below + (objects[i] or arrays[i] or 0)
    end
    if cost + below > share then return end
    if below == 0 then
      local text = redis.call('JSON.GET', key, path)
      cost = math.max(cost, math.ceil(#text / 100)) -- names have not been measured
      if cost > share then return end
      return string.sub(text, 2, -2), cost
    end
    where, width = where .. '[*]', below
  end
end

-- The step to a member, nil where a command that tells lengths would miss it, or find another.
local function spelled(name)
  local quoted = string.find(name, '"', 1, true)
  if string.byte(name) == 32 or quoted and string.find(name, "['\\]") then return end
  if quoted then return "['" .. name .. "']" end
  return '["' .. string.gsub(name, '\\', '\\\\') .. '"]'
end

local function short(name)
  return #name > LONG and {'t', #name, string.sub(name, 1, LONG)} or name
end

local function scalar(key, path, kind)
  local bytes = kind == 'string' and redis.call('JSON.STRLEN', key, path)[1] or 0
  if bytes > READ then return {'t', bytes, ''}, 1 end
  local text = string.sub(redis.call('JSON.GET', key, path), 2, -2)
  if bytes > LONG then text = {'t', bytes, string.sub(text, 1, LONG)} end
  return text, 1 + cost_of(bytes)
end

-- The first children of a container: the kind of each, its step (or nil), and a member's name.
local function children(key, path, kind, count)
  local found, shown = {}, math.min(count, WIDE)
  if kind == 'object' then
    local names = redis.call('JSON.OBJKEYS', key, path)[1]
    local kinds = redis.call('JSON.TYPE', key, path .. '[*]')
    for i = 1, shown do found[i] = {kinds[i], spelled(names[i]), names[i]} end
  else
    local kinds = redis.call('JSON.TYPE', key, path .. string.format('[0:%d]', shown))
    for i = 1, shown do found[i] = {kinds[i], string.format('[%d]', i - 1)} end
  end
  return found
end

local fill

-- What is at a place, whose kind is known: as above, and what it costs.
local function look(key, path, kind, share, level)
  if kind ~= 'object' and kind ~= 'array' then return scalar(key, path, kind) end
  local text, cost = whole(key, path, share)
  if text then return text, cost end
  local count
  if kind == 'object' then
    count = redis.call('JSON.OBJLEN', key, path)[1]
  else
    count = redis.call('JSON.ARRLEN', key, path)[1]
  end
  local node = {string.sub(kind, 1, 1), count}
  if level == DEEP or share < 2 or kind == 'object' and count > MANY then return node, 1 end
  return fill(node, key, path, kind, share, level)
end

-- Scalars first, in order; what they leave of the share, the containers among them divide.
function fill(node, key, path, kind, share, level)
  local cost, later = 1, {}
  for _, child in ipairs(children(key, path, kind, node[2])) do
    if cost >= share then break end
    local below, step, name = unpack(child, 1, 3)
    if name then
      node[#node + 1] = short(name)
      cost = cost + cost_of(#name)
    end
    local value, used = {'u', below}, 1
    if step and (below == 'object' or below == 'array') then
      later[#later + 1] = {#node + 1, path .. step, below}
    elseif step then
      value, used = scalar(key, path .. step, below)
    end
    node[#node + 1] = value
    cost = cost + used
  end
  for i, waiting in ipairs(later) do
    local fair = math.floor(math.max(share - cost, 0) / (#later - i + 1))
    local value, used = look(key, waiting[2], waiting[3], fair + 1, level + 1)
    node[waiting[1]] = value
    cost = cost + used - 1
  end
  return node, cost
end
