#!lua
-- needs: path
-- ARGV: the amount ('' if it cannot be spelled), the text to store where nothing is, the lifetime of
-- a new document, repairs. Replies the new value; {'>'} where doubles are not enough to tell what it
-- will be.
local text = path and redis.pcall('JSON.GET', KEYS[1], path)
local now = type(text) == 'string' and tonumber(string.sub(text, 2, -2))
local amount = tonumber(ARGV[ARGV[2] + 3])
local sum = now and amount and now + amount
local most = 2 ^ 52
if sum and now <= most and now >= -most and sum <= most and sum >= -most then
  return redis.call('JSON.NUMINCRBY', KEYS[1], path, ARGV[ARGV[2] + 3])
end
-- needs: place, repair, lifetime, rights
path = follow(path, 3, steps + 2)
text = redis.pcall('JSON.GET', key, path)
if type(text) == 'table' then -- a foreign key, or a user who may not
  local why = absence()
  return why[1] == '!' and why or text
end
now = type(text) == 'string' and tonumber(string.sub(text, 2, -2))
if not now then
  local why = absence()
  if why[1] ~= '?' or why[2] == steps then return why end -- not to be read, or no number
  local document = steps == 0 and path == '$' and why[2] == -1
  if not document and not addable(why) then return why end
  if ARGV[first + 1] == '' then return {'>'} end -- default + amount is no number to store
  local no = unrepairable(first + 3) or (document and refused('PERSIST', 'PEXPIRE'))
  if no then return no end
  redis.call('JSON.SET', key, path, ARGV[first + 1])
  repair(key, path, first + 3)
  if document then live(key, ARGV[first + 2]) end
  return redis.call('JSON.GET', key, path)
end
if not amount then return {'>'} end -- no spelling carries it
sum = now + amount
if math.abs(now) > most or math.abs(sum) > most then return {'>'} end
return redis.call('JSON.NUMINCRBY', key, path, ARGV[first])
