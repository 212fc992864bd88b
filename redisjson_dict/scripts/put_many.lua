#!lua
-- needs: repair, rights
-- ARGV: a text for each key, the lifetime, repairs: quadruples of the key's number, the path, the
-- increment, the float wanted.
local count = #KEYS
local no = refused('JSON.MSET', 'PERSIST', 'PEXPIRE') or unrepairable(count + 2)
if no then return no end

local function each(act) -- unpack takes about 8,000 values
  for from = 1, count, 2000 do act(from, math.min(from + 1999, count)) end
end

local existing, exists = 0, {}
each(function(from, to) existing = existing + redis.call('EXISTS', unpack(KEYS, from, to)) end)
for i = 1, existing > 0 and count or 0 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  exists[i] = kind == 'ReJSON-RL'
  if not exists[i] and kind ~= 'none' then return {'!', kind, KEYS[i]} end
end

each(function(from, to)
  local arguments, size = {}, 0
  for i = from, to do
    arguments[size + 1], arguments[size + 2], arguments[size + 3] = KEYS[i], '$', ARGV[i]
    size = size + 3
  end
  redis.call('JSON.MSET', unpack(arguments))
end)
for at = count + 2, #ARGV, 4 do
  repair(KEYS[tonumber(ARGV[at]) + 1], '$', at + 1, at + 3)
end

local lifetime = ARGV[count + 1]
local keeps, span = string.byte(lifetime) == 107, string.match(lifetime, '%d+')
for i = 1, count do
  if span and not (keeps and exists[i]) then
    redis.call('PEXPIRE', KEYS[i], span)
  elseif exists[i] and not keeps then
    redis.call('PERSIST', KEYS[i])
  end
end
return count
