-- A member's name in a path that is read; one with a space in front no path finds.
local function quoted(name)
  return '"' .. string.gsub(name, '[\\"]', '\\%0') .. '"'
end

-- The step to a member, nil where a command that tells lengths would miss it, or find another.
local function spelled(name)
  local marked = string.find(name, '"', 1, true)
  if string.byte(name) == 32 or marked and string.find(name, "['\\]") then return end
  if marked then return "['" .. name .. "']" end
  return '["' .. string.gsub(name, '\\', '\\\\') .. '"]'
end
