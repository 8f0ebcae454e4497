"""what a relay changes in Redis, as scripts: each is done whole or not at all.

``APPEND`` is given what the relay believes that Redis has of a session, and changes nothing where
that is not so: ``BEHIND`` says that Redis lost something, or got it from somebody else, ``LOST``
that the name is another relay's by now. Lines and the position behind them are one change.
A script names keys of several sessions and hosts: a Redis Cluster cannot run them.
"""

from __future__ import annotations

__all__ = ["APPEND", "KNOWN", "LET_GO", "RENEW"]

# A mark is some 100 bytes; who missed so many looks at all sessions.
_MOST_MARKS, _MOST_EVENTS = 20_000, 100_000

#: KEYS: lock, session, lines, sessions, ended, events, marks, count.
#: ARGV: token, host, name, generation and lines as they are believed to be ('' for none), the new
#: generation, the number of the first line, event ('' for none), created (ms, '' for unknown),
#: key of the ended file ('' for none), seconds until it expires ('' for never), how many fields
#: of the hash follow; the fields and their values; field and value of each line.
APPEND = f"""
local owner = redis.call('GET', KEYS[1])
if owner ~= ARGV[1] then return redis.error_reply('LOST ' .. (owner or '')) end
local at = redis.call('HMGET', KEYS[2], 'generation', 'lines', 'state')
if at[3] == 'deleted' and ARGV[4] == '' then
  redis.call('DEL', KEYS[2], KEYS[3])
  at = {{false, false, false}}
end
if (at[1] or '') ~= ARGV[4] or (at[2] or '') ~= ARGV[5] then return redis.error_reply('BEHIND') end
local generation, line, count = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[12])
if at[1] == generation and tonumber(at[2]) > 0 and redis.call('EXISTS', KEYS[3]) == 0 then
  return redis.error_reply('BEHIND')
end
for i = 13 + 2 * count, #ARGV, 2 do
  redis.call('XADD', KEYS[3], generation .. '-' .. string.format('%.0f', line), ARGV[i], ARGV[i + 1])
  line = line + 1
end
if at[1] and at[1] ~= generation then redis.call('XTRIM', KEYS[3], 'MINID', generation .. '-0') end
for i = 13, 12 + 2 * count, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[2], 'generation', generation, 'lines', string.format('%.0f', line - 1))
if ARGV[9] ~= '' then redis.call('ZADD', KEYS[4], ARGV[9], ARGV[3])
else redis.call('ZADD', KEYS[4], 'NX', 0, ARGV[3]) end
if ARGV[10] ~= '' then redis.call('HSET', KEYS[5], ARGV[3], ARGV[10])
else redis.call('HDEL', KEYS[5], ARGV[3]) end
if ARGV[8] == 'deleted' then
  redis.call('ZREM', KEYS[4], ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[11])
  redis.call('EXPIRE', KEYS[3], ARGV[11])
end
if ARGV[8] ~= '' then
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', '{_MOST_EVENTS}', '*', 'event', ARGV[8], 'host', ARGV[2],
    'file', ARGV[3], 'generation', generation, 'lines', string.format('%.0f', line - 1))
end
redis.call('XADD', KEYS[7], 'MAXLEN', '~', '{_MOST_MARKS}', '*', 'n', redis.call('INCR', KEYS[8]),
  'host', ARGV[2], 'file', ARGV[3])
return redis.status_reply('OK')
"""

#: KEYS: pairs of session and lines. For each: generation, lines, bytes, state, position, and
#: whether there are lines.
KNOWN = """
local found = {}
for i = 1, #KEYS, 2 do
  local at = redis.call('HMGET', KEYS[i], 'generation', 'lines', 'bytes', 'state', 'position')
  at[6] = redis.call('EXISTS', KEYS[i + 1])
  found[#found + 1] = at
end
return found
"""

#: KEYS: lock. ARGV: token, milliseconds. Whether it is ours still.
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

#: KEYS: lock. ARGV: token. It is nobody's then, if it was that one's.
LET_GO = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
