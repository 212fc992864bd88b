-- A bounded look at a value. What is small comes as its JSON text; of anything else a part:
--   {'o', members, name, value, name, value, ...}  an object, as far as it is shown
--   {'a', elements, value, value, ...}             an array
--   {'t', bytes, start}                            a long text, or name, and how it starts
--   {'u', kind}                                    what no command finds the length of
-- A share is what a look may cost: one for each value, one more for each 50 bytes of text or name.
local WIDE, DEEP, LONG, MANY, READ = 100, 20, 400, 10000, 65536
local FEW = 1000 -- members that are measured together
local LEAST = 8 -- of a share that is worth dividing

local function cost_of(bytes)
  return math.floor(math.min(bytes, LONG) / 50)
end

-- The lengths of the texts, the objects and the arrays among what is there; false for all else.
local function lengths(key, where)
  return redis.call('JSON.STRLEN', key, where), redis.call('JSON.OBJLEN', key, where),
    redis.call('JSON.ARRLEN', key, where)
end

-- The text of a container that is small in every way, and its cost; nil for any other. It is
-- measured level by level, since wildcards pass through names that no path can spell.
local function whole(key, path, count, share)
  local where, width, cost = path, count, 1
  for _ = 1, DEEP do
    if cost + width > share then return end
    if width == 0 then break end
    cost, where = cost + width, where .. '[*]'
    local texts, objects, arrays = lengths(key, where)
    if #texts ~= width or #objects ~= width or #arrays ~= width then return end
    local below = 0
    for i = 1, width do
      if texts[i] and texts[i] > LONG then return end
      cost = cost + cost_of(texts[i] or 0)
      below = below + (objects[i] or arrays[i] or 0)
    end
    width = below
  end
  if width > 0 then return end
  local text = redis.call('JSON.GET', key, path)
  cost = math.max(cost, math.ceil(#text / 100)) -- names have not been measured
  if cost > share then return end
  return string.sub(text, 2, -2), cost
end

local function short(name)
  return #name > LONG and {'t', #name, string.sub(name, 1, LONG)} or name
end

-- How long a value is; nil if no command finds out, 0 for a number and the like.
local function size_of(key, path)
  local texts, objects, arrays = lengths(key, path)
  return texts[1] or objects[1] or arrays[1] or #texts == 1 and 0 or nil
end

local function scalar(key, path, bytes)
  if bytes > READ then return {'t', bytes, ''}, 1 end
  local text = string.sub(redis.call('JSON.GET', key, path), 2, -2)
  if bytes <= LONG then return text, 1 + cost_of(bytes) end
  return {'t', bytes, string.sub(text, 1, LONG)}, 1 + cost_of(bytes) + math.floor(bytes / 2000)
end

local function kind_of(key, path)
  return redis.call('JSON.TYPE', key, path)[1]
end

-- The first children of a container: the kind of each, its step (or nil), its size, and a name.
local function children(key, path, kind, count, share)
  local found, names, shown, where = {}, {}, math.min(count, WIDE, share), path .. '[*]'
  if kind == 'object' then
    names = redis.call('JSON.OBJKEYS', key, path)[1]
  else
    where = path .. string.format('[0:%d]', shown)
  end
  local kinds, texts, objects, arrays = {}, {}, {}, {}
  local together = kind == 'array' or count <= FEW
  if together then
    kinds = redis.call('JSON.TYPE', key, where)
    texts, objects, arrays = lengths(key, where)
    together = #texts == #kinds and #objects == #kinds and #arrays == #kinds
  end
  for i = 1, shown do
    local step = string.format('[%d]', i - 1)
    if names[i] then step = spelled(names[i]) end
    if together then
      found[i] = {kinds[i], step, texts[i] or objects[i] or arrays[i] or 0, names[i]}
    elseif step then
      found[i] = {kind_of(key, path .. step), step, size_of(key, path .. step), names[i]}
    else
      found[i] = {'', nil, nil, names[i]}
    end
  end
  return found
end

local fill

-- What is at a place whose kind and size are known: as above, and what it costs.
local function look(key, path, kind, size, share, level)
  if kind ~= 'object' and kind ~= 'array' then return scalar(key, path, size) end
  local text, cost = whole(key, path, size, share)
  if text then return text, cost end
  local node = {string.sub(kind, 1, 1), size}
  if level == DEEP or share < LEAST or kind == 'object' and size > MANY then return node, 1 end
  return fill(node, key, path, kind, share, level)
end

-- Scalars first, in order; what they leave of the share, the containers among them divide.
function fill(node, key, path, kind, share, level)
  local cost, later = 1, {}
  for _, child in ipairs(children(key, path, kind, node[2], share)) do
    if cost >= share then break end
    local below, step, size, name = unpack(child, 1, 4)
    if name then
      node[#node + 1] = short(name)
      cost = cost + cost_of(#name)
    end
    local value, used = {'u', below}, 1
    if below == 'object' or below == 'array' then
      if size then value = {string.sub(below, 1, 1), size} end
      if step and size then later[#later + 1] = {#node + 1, path .. step, below, size} end
    elseif step and size then
      value, used = scalar(key, path .. step, size)
    end
    node[#node + 1] = value
    cost = cost + used
  end
  for i, waiting in ipairs(later) do
    local fair = math.floor(math.max(share - cost, 0) / (#later - i + 1)) + 1
    local value, used = look(key, waiting[2], waiting[3], waiting[4], fair, level + 1)
    node[waiting[1]] = value
    cost = cost + used - 1
  end
  return node, cost
end

-- A look at a whole place, whose kind is known.
local function look_at(key, path, kind, share)
  local size = size_of(key, path)
  if not size then return {'u', kind}, 1 end
  return look(key, path, kind, size, share, 0)
end
