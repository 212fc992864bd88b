#!lua
-- After a text for each key ARGV has the lifetime. Does what `put` would do with each key, and replies
-- what it would, in a list after a '+'.
local count = #KEYS
local done = {'+'}
-- needs: rights, mortal, swift
if swift() then
  for i = 1, count do done[i + 1] = 1 end
  return done
end
-- needs: many
local no = refused('JSON.MSET', timed() and 'PEXPIRE' or 'PERSIST')
if no then return no end
local exists, aliens = look()
store(aliens)
live_all(exists, aliens)
for i = 1, count do done[i + 1] = aliens[i] or 1 end
return done
