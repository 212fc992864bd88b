#!lua flags=no-writes
-- needs: path, glance
if kind == 'object' or kind == 'array' then return kind end
if kind then return redis.call('JSON.GET', KEYS[1], path) end
-- needs: place, peek
locate()
local found = peek(path)
if not found then return absence() end
if indices and (found == 'object' or found == 'array') then return {found, unpack(indices)} end
return found
