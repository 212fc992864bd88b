#!lua flags=allow-oom
-- needs: place, array, search
-- ARGV: the texts to look for.
if locate() ~= 'array' then return absence() end
local index = search(0, length_of(), first)
if index >= 0 then redis.call('JSON.ARRPOP', key, path, index) end
return index
