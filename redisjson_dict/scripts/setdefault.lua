#!lua
-- needs: place, peek, repair, rights
-- ARGV: text, repairs. Replies what is there, or '' after storing it; in a list with the indices
-- that negative ones were resolved to, if there were any.
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
