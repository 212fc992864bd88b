#!lua
-- needs: place
if locate() ~= 'boolean' then return absence() end
return redis.call('JSON.TOGGLE', key, path)[1]
