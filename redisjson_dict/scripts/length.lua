#!lua flags=no-writes
-- needs: path
-- ARGV: the kind that must be there, '' for either container.
local wanted = ARGV[ARGV[2] + 3]
-- JSON.ARRLEN is a question that harms no server; JSON.OBJLEN ends one where the document is gone.
local counts = path and wanted == '' and redis.pcall('JSON.ARRLEN', KEYS[1], path)
if counts and counts[1] then return counts[1] end
-- needs: glance
if kind == 'object' and wanted ~= 'array' then return redis.call('JSON.OBJLEN', KEYS[1], path)[1] end
if kind == 'array' and wanted ~= 'object' then return redis.call('JSON.ARRLEN', KEYS[1], path)[1] end
-- needs: place
kind = locate()
if wanted == '' or kind == wanted then
  if kind == 'object' then return redis.call('JSON.OBJLEN', key, path)[1] end
  if kind == 'array' then return redis.call('JSON.ARRLEN', key, path)[1] end
end
return absence()
