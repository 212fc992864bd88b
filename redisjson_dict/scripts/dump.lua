#!lua flags=no-writes
-- needs: foreign
-- Replies the text of a document and the milliseconds that it has left (-1: permanent), nil for none.
local text = redis.pcall('JSON.GET', KEYS[1], '$')
if not text then return false end
if text.err then return not foreign(KEYS[1]) and text end
return {text, redis.call('PTTL', KEYS[1])}
