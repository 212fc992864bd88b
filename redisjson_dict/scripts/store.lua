#!lua
-- needs: place, repair, rights
-- ARGV: text, repairs. A new member may be added; nothing else comes into being.
if not locate() then
  local why = absence()
  if not addable(why) then
    return why
  end
end
local no = unrepairable(first + 1)
if no then return no end
redis.call('JSON.SET', key, path, ARGV[first])
repair(key, path, first + 1)
return 1
