#!lua flags=no-writes
-- needs: place
-- The names of an object's members, as one JSON text: a tenth of the time of a list of replies.
if locate() ~= 'object' then return absence() end
local names = redis.call('JSON.OBJKEYS', key, path)[1]
return #names == 0 and '[]' or cjson.encode(names)
