#!lua flags=no-writes
-- ARGV: names of commands. Replies those that the user may not run on the key.
local denied = {}
for i = 1, #ARGV do
  if not redis.acl_check_cmd(ARGV[i], KEYS[1]) then denied[#denied + 1] = ARGV[i] end
end
return denied
