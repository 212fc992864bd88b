#!lua
-- needs: path, glance
-- ARGV: text, repairs. Replies what is there, or '' after storing it; in a list with the indices
-- that negative ones were resolved to, if there were any. Looks first: JSON.SET with NX parses the
-- text and fires WATCH where something is there, too.
if kind == 'object' or kind == 'array' then return kind end
if kind then return redis.call('JSON.GET', KEYS[1], path) end
if kinds and not kinds.err and not ARGV[ARGV[2] + 4] then -- a document, and no repairs
  local stored = redis.pcall('JSON.SET', KEYS[1], path, ARGV[ARGV[2] + 3])
  if stored and stored.ok then return '' end
end
-- needs: place, peek, repair, rights
local found = ''
if locate() then
  found = peek(path)
else
  local why = absence()
  if not addable(why) then return why end
  local no = unrepairable(first + 1)
  if no then return no end
  redis.call('JSON.SET', key, path, ARGV[first])
  repair(key, path, first + 1)
end
if indices then return {found, unpack(indices)} end
return found
