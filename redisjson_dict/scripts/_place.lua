-- The place a verb is about: ARGV[1] is known to be spelled right, ARGV[3..] are further steps.
local key, path, steps = KEYS[1], ARGV[1], tonumber(ARGV[2])
local first = steps + 3 -- of the verb's own arguments
local indices -- what negative indices were resolved to, in order

local function kind_at(where)
  local kinds = redis.pcall('JSON.TYPE', key, where)
  return kinds and not kinds.err and kinds[1]
end

-- Follow the steps ARGV[from..last] down from `where`; a bare negative number counts from the end of
-- the array found there, and is replaced by the index it stands for.
local function follow(where, from, last)
  for i = from, last do
    local step = ARGV[i]
    if string.byte(step) == 45 then
      local length = redis.pcall('JSON.ARRLEN', key, where)
      length = length and not length.err and length[1]
      if not length then -- no array; or below a name that JSON.ARRLEN resolves wrongly
        length = kind_at(where) == 'array' and #redis.call('JSON.TYPE', key, where .. '[*]') or 0
      end
      local index = length + tonumber(step)
      if index < 0 then index = length end -- one past the end: nothing is there
      step = string.format('[%d]', index)
      indices = indices or {}
      indices[#indices + 1] = index
      ARGV[i] = step
    end
    where = where .. step
  end
  return where
end

-- Append the steps to `path`. Returns the kind of what is there, or false.
local function locate()
  path = follow(path, 3, steps + 2)
  return kind_at(path)
end

-- Why a verb did nothing: {'?', how many further steps lead somewhere (-1: not even ARGV[1] does),
-- the kind found there}; or {'!', the key's Redis type, the key, the server's words}.
local function absence()
  for depth = steps, 0, -1 do
    local kinds = redis.pcall('JSON.TYPE', key, ARGV[1] .. table.concat(ARGV, '', 3, depth + 2))
    if kinds and kinds.err then return {'!', redis.call('TYPE', key).ok, key, kinds.err} end
    if not kinds then return {'?', -1} end
    if kinds[1] then return {'?', depth, kinds[1]} end
  end
  return {'?', -1}
end

-- Whether all that is absent, by that account, is a new member of an object that is there.
local function addable(why)
  return why[1] == '?' and why[2] == steps - 1 and why[3] == 'object'
    and not string.find(ARGV[steps + 2], '^%[?%-?%d')
end
