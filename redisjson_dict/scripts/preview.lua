#!lua flags=no-writes
-- needs: place, spelled, look
-- ARGV: the kind that must be there ('' for any), and what the look may cost; see `_look.lua`.
local kind = locate()
if not kind or (ARGV[first] ~= '' and kind ~= ARGV[first]) then return absence() end
return (look_at(key, path, kind, tonumber(ARGV[first + 1])))
