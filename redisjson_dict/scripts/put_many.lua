#!lua
-- needs: foreign, repair, lifetime, rights
-- ARGV: a text for each key, the lifetime, repairs: quadruples of the key's number, the path, the
-- increment, the float wanted.
local key = KEYS[1]
local count = #KEYS
local no = refused('JSON.MSET', 'PERSIST', 'PEXPIRE') or unrepairable(count + 2)
if no then return no end
local lifetime, kept = ARGV[count + 1], {}
for i = 1, count do
  local alien = foreign(KEYS[i])
  if alien then return alien end
  kept[i] = keeps(KEYS[i], lifetime)
end
for done = 1, count, 2000 do -- unpack takes about 8,000 values
  local arguments, size = {}, 0
  for i = done, math.min(done + 1999, count) do
    arguments[size + 1], arguments[size + 2], arguments[size + 3] = KEYS[i], '$', ARGV[i]
    size = size + 3
  end
  redis.call('JSON.MSET', unpack(arguments))
end
for at = count + 2, #ARGV, 4 do
  repair(KEYS[tonumber(ARGV[at]) + 1], '$', at + 1, at + 3)
end
for i = 1, count do
  if not kept[i] then live(KEYS[i], lifetime) end
end
return count
