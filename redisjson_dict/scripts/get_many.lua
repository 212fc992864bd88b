#!lua flags=no-writes
-- needs: place, peek
-- ARGV: paths below the place. Replies for each the text of a scalar, the kind of a container, or
-- nil.
if not locate() then return absence() end
local found = {'+'}
for at = first, #ARGV do found[at - first + 2] = peek(path .. ARGV[at]) end
return found
