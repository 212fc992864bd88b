#!lua
-- After a text for each key and the lifetime ARGV has repairs: quadruples of the key's number, the
-- path, the increment, the float wanted. With a foreign key among them nothing is stored.
local count = #KEYS
-- needs: rights, mortal, swift
if swift() then return count end
-- needs: repair, many
local no = refused('JSON.MSET', timed() and 'PEXPIRE' or 'PERSIST') or unrepairable(count + 2)
if no then return no end
local exists, aliens = look()
local _, alien = next(aliens)
if alien then return alien end
store(aliens)
for at = count + 2, #ARGV, 4 do
  repair(KEYS[tonumber(ARGV[at]) + 1], '$', at + 1, at + 3)
end
live_all(exists, aliens)
return count
