#!lua flags=allow-oom
-- needs: place
-- The last member: its name as JSON, its value. A name that cannot be read by path is left to the
-- caller ('>').
if locate() ~= 'object' then return absence() end
local names = redis.call('JSON.OBJKEYS', key, path)[1]
local count = #names
if count == 0 then return {} end
local name = names[count]
if string.byte(name) == 32 then return {'>'} end
local spelled = cjson.encode(name)
local step = '["' .. string.gsub(name, '[\\"]', '\\%0') .. '"]'
local text = redis.call('JSON.GET', key, path .. step)
if count == 1 then
  redis.call('JSON.CLEAR', key, path)
else
  redis.call('JSON.MERGE', key, path, '{' .. spelled .. ':null}')
end
return {spelled, text}
