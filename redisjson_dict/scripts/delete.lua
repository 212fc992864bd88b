#!lua flags=allow-oom
-- needs: path
if path and ARGV[2] ~= '0' and path ~= '$' .. ARGV[ARGV[2] + 2] then -- at the root see `erase`
  local removed = redis.pcall('JSON.DEL', KEYS[1], path)
  if type(removed) == 'number' and removed > 0 then return 1 end
end
-- needs: place, erase
if not locate() then return absence() end
erase()
return 1
