-- The kind of what is at `path`; nil or false where that is not to be had so simply.
local kinds = path and redis.pcall('JSON.TYPE', KEYS[1], path)
local kind = kinds and kinds[1]
