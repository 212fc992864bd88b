-- The step to a member, nil where a command that tells lengths would miss it, or find another.
local function spelled(name)
  local quoted = string.find(name, '"', 1, true)
  if string.byte(name) == 32 or quoted and string.find(name, "['\\]") then return end
  if quoted then return "['" .. name .. "']" end
  return '["' .. string.gsub(name, '\\', '\\\\') .. '"]'
end
