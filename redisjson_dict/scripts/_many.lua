-- Many documents: KEYS, in ARGV a text for each, then the lifetime. Each question to the server costs a
-- microsecond, so as few as possible are asked. Needs `count`, `mortal` and what `swift` needs.
local function each(act)
  for from = 1, count, AT_ONCE do act(from, math.min(from + AT_ONCE - 1, count)) end
end

-- What is there: whether a document, by number; and the refusals of foreign keys, by number.
local function look()
  local existing, exists, aliens = 0, {}, {}
  each(function(from, to) existing = existing + redis.call('EXISTS', unpack(KEYS, from, to)) end)
  for i = 1, existing > 0 and count or 0 do
    local kind = redis.call('TYPE', KEYS[i]).ok
    exists[i] = kind == 'ReJSON-RL'
    if not exists[i] and kind ~= 'none' then aliens[i] = {'!', kind, KEYS[i]} end
  end
  return exists, aliens
end

local function store(aliens)
  each(function(from, to)
    local arguments, size = {}, 0
    for i = from, to do
      if not aliens[i] then
        arguments[size + 1], arguments[size + 2], arguments[size + 3] = KEYS[i], '$', ARGV[i]
        size = size + 3
      end
    end
    if size > 0 then redis.call('JSON.MSET', unpack(arguments)) end
  end)
end

-- The lifetime: a number of milliseconds, or none to make permanent; after a 'k' only for what is new.
local function timed()
  return string.match(ARGV[count + 1], '%d+')
end

local function live_all(exists, aliens)
  local keeps, span = string.byte(ARGV[count + 1]) == 107, timed()
  if not span and (keeps or not mortal()) then return end
  for i = 1, count do
    if span and not (keeps and exists[i]) and not aliens[i] then
      redis.call('PEXPIRE', KEYS[i], span)
    elseif exists[i] and not span then
      redis.call('PERSIST', KEYS[i])
    end
  end
end
