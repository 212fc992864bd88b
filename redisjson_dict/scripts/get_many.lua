#!lua flags=no-writes
-- needs: place, peek
-- ARGV: the kind that must be there ('' for any); for each path below it the number of its steps,
-- and the steps. Replies for each the text of a scalar, the kind of a container, or nil; where
-- negative indices were resolved a list of that and the indices.
local kind = locate()
if not kind or (ARGV[first] ~= '' and kind ~= ARGV[first]) then return absence() end
local above = indices
local found, at = {'+'}, first + 1
while ARGV[at] do
  local last = at + tonumber(ARGV[at])
  indices = nil
  local there = peek(follow(path, at + 1, last))
  if there and (above or indices) then
    there = {there}
    for _, list in ipairs({above or {}, indices or {}}) do
      for _, index in ipairs(list) do there[#there + 1] = index end
    end
  end
  found[#found + 1] = there
  at = last + 1
end
return found
