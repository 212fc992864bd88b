#!lua flags=no-writes
-- needs: place
if not locate() then return absence() end
if indices then return {redis.call('JSON.GET', key, path), unpack(indices)} end
return redis.call('JSON.GET', key, path)
