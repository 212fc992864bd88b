-- A script that writes in several steps must not be stopped half-way by a user's rights.
local function refused(...)
  for _, command in ipairs({...}) do
    if not redis.acl_check_cmd(command, KEYS[1]) then
      return redis.error_reply("NOPERM this user has no permissions to run the '" .. command .. "' command")
    end
  end
end

-- The same for what repairs need, if ARGV[from] is the first of any.
local function unrepairable(from)
  return ARGV[from] and refused('JSON.GET', 'JSON.NUMINCRBY')
end
