#!lua flags=no-writes
-- needs: place
local kind = locate()
if not kind then return absence() end
if kind ~= 'object' and kind ~= 'array' then return redis.call('JSON.GET', key, path) end
if indices then return {kind, unpack(indices)} end
return kind
