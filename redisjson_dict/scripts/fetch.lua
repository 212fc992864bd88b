#!lua flags=no-writes
-- needs: path
local text = path and redis.pcall('JSON.GET', KEYS[1], path)
if type(text) == 'string' and text ~= '[]' then return text end
-- needs: place
if not locate() then return absence() end
if indices then return {redis.call('JSON.GET', key, path), unpack(indices)} end
return redis.call('JSON.GET', key, path)
