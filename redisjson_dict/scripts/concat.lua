#!lua
-- needs: place
-- ARGV: the text to append, as JSON.
if locate() ~= 'string' then return absence() end
redis.call('JSON.STRAPPEND', key, path, ARGV[first])
return 1
