#!lua flags=no-writes
-- needs: place, rights
-- ARGV: the kind that must be there ('' for any), what follows the '$' of a JSONPath, and '1' if
-- the place's own path holds a character that must not be echoed in an error: it would abort the
-- server, so the expression is tried by itself first. Replies the matches, or {'#', the server's
-- words} for an expression that it does not understand.
local kind = locate()
if not kind or (ARGV[first] ~= '' and kind ~= ARGV[first]) then return absence() end
local no = refused('JSON.GET') -- else it would pass for an expression that is not understood
if no then return no end
if ARGV[first + 2] == '1' then
  local alone = redis.pcall('JSON.GET', key, '$' .. ARGV[first + 1])
  if alone.err then return {'#', alone.err} end
end
local found = redis.pcall('JSON.GET', key, path .. ARGV[first + 1])
return found.err and {'#', found.err} or found
