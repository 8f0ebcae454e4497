"""what a relay changes in Redis, as scripts: each is done whole or not at all.

``APPEND`` is given what the relay believes that Redis has of a session, and changes nothing where
that is not so: ``BEHIND`` says that Redis lost something, or got it from somebody else, ``LOST``
that the name is another relay's by now. Lines and the position behind them are one change.
A closed session that is opened again has two files: its lines are put aside, and back where the new
file goes.
A script names keys of several sessions and hosts: a Redis Cluster cannot run them.
"""

from __future__ import annotations

__all__ = ["APPEND", "CAUGHT_UP", "FIELDS_OF", "KNOWN", "LET_GO", "RENEW"]

# A mark is some 100 bytes; who missed so many looks at all sessions.
_MOST_MARKS, _MOST_EVENTS = 20_000, 100_000

#: KEYS: lock, session, lines, sessions, ended, events, marks, count, closed.
#: ARGV: token, host, name, generation and lines as they are believed to be ('' for none), the new
#: generation, the number of the first line, event ('' for none), created (ms, '' for unknown),
#: key of the ended file ('' as it was, '-' for none), seconds until it expires, what becomes of the
#: closed file's lines ('aside' these become them, 'back' they become these, 'keep'; '' they go), how
#: many fields of the hash follow; the fields and their values; field and value of each line.
APPEND = f"""
local owner = redis.call('GET', KEYS[1])
if owner ~= ARGV[1] then return redis.error_reply('LOST ' .. (owner or '')) end
local at = redis.call('HMGET', KEYS[2], 'generation', 'lines', 'closed')
local generation, line, closed, count = ARGV[6], tonumber(ARGV[7]), ARGV[12], tonumber(ARGV[13])
local there, beside = redis.call('XLEN', KEYS[3]), redis.call('XLEN', KEYS[9])
-- What nobody lists was deleted, or Redis lost the list: it is begun anew.
local listed = redis.call('ZSCORE', KEYS[4], ARGV[3])
if not listed and ARGV[4] == '' then at = {{false, false, false}} end
if (at[1] or '') ~= ARGV[4] or (at[2] or '') ~= ARGV[5] then return redis.error_reply('BEHIND') end
if (at[1] == generation or closed == 'aside') and tonumber(at[2]) ~= there then
  return redis.error_reply('BEHIND')
end
if closed == 'back' and string.match(at[3] or '', '^%d+ (%d+) ') ~= string.format('%.0f', beside) then
  return redis.error_reply('BEHIND')
end
local last = line + (#ARGV - 13 - 2 * count) / 2 - 1
-- A script that fails undoes nothing: keys that are not ours fail here, before the session changes.
redis.call('HLEN', KEYS[5])
if ARGV[8] ~= '' then
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', '{_MOST_EVENTS}', '*', 'event', ARGV[8], 'host', ARGV[2],
    'file', ARGV[3], 'generation', generation, 'lines', string.format('%.0f', last))
end
redis.call('XADD', KEYS[7], 'MAXLEN', '~', '{_MOST_MARKS}', '*', 'n', redis.call('INCR', KEYS[8]),
  'host', ARGV[2], 'file', ARGV[3])
if not at[1] then redis.call('DEL', KEYS[2]) end
if closed == 'aside' and there > 0 then redis.call('RENAME', KEYS[3], KEYS[9])
elseif closed == 'back' and beside > 0 then redis.call('RENAME', KEYS[9], KEYS[3])
elseif closed ~= 'keep' and beside > 0 then redis.call('DEL', KEYS[9]) end
if at[3] and (closed == '' or closed == 'back') then redis.call('HDEL', KEYS[2], 'closed') end
if at[1] ~= generation then
  if not listed then redis.call('DEL', KEYS[3]) end
  redis.call('XTRIM', KEYS[3], 'MINID', generation .. '-0')
end
for i = 14 + 2 * count, #ARGV, 2 do
  local id = generation .. '-' .. string.format('%.0f', line)
  local added = redis.pcall('XADD', KEYS[3], id, ARGV[i], ARGV[i + 1])
  if added.err then
    -- It is there; or somebody else has written there, under a later id.
    local about = redis.call('XINFO', 'STREAM', KEYS[3])
    for i = 1, #about, 2 do
      if about[i] == 'last-generated-id' and string.match(about[i + 1], '^%d+') ~= generation then
        redis.call('DEL', KEYS[3])
      end
    end
    return redis.error_reply('BEHIND: ' .. added.err)
  end
  line = line + 1
end
for i = 14, 13 + 2 * count, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[2], 'generation', generation, 'lines', string.format('%.0f', last))
if ARGV[9] ~= '' then redis.call('ZADD', KEYS[4], ARGV[9], ARGV[3])
else redis.call('ZADD', KEYS[4], 'NX', 0, ARGV[3]) end
if ARGV[10] == '-' then redis.call('HDEL', KEYS[5], ARGV[3])
elseif ARGV[10] ~= '' then redis.call('HSET', KEYS[5], ARGV[3], ARGV[10]) end
if ARGV[8] == 'deleted' then
  redis.call('ZREM', KEYS[4], ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[11])
  redis.call('EXPIRE', KEYS[3], ARGV[11])
end
return redis.status_reply('OK')
"""

#: KEYS: hashes. ARGV: fields. Their values for each; an error where it is no hash. An answer for all
#: is read in a tenth of the time that one for each takes.
FIELDS_OF = """
local found = {}
for i = 1, #KEYS do found[i] = redis.pcall('HMGET', KEYS[i], unpack(ARGV)) end
return found
"""

#: KEYS: session, lines and closed of each. For each: generation, lines, bytes, state, position, the
#: closed file beside it, the sum of its lines, and how many lines there are of both; none of it where they are not ours.
KNOWN = """
local found = {}
for i = 1, #KEYS, 3 do
  local at = redis.pcall('HMGET', KEYS[i], 'generation', 'lines', 'bytes', 'state', 'position', 'closed',
    'crc')
  if at.err then at = {false, false, false, false, false, false, false} end
  for j = 1, 2 do
    local there = redis.pcall('XLEN', KEYS[i + j])
    at[7 + j] = type(there) == 'number' and there or -1
  end
  found[#found + 1] = at
end
return found
"""

#: KEYS: lock, info, marks, count. ARGV: token, host, which run of Redis this is. All that the relay
#: has is published: what a mirror has of this host, and Redis does not, is no more.
CAUGHT_UP = f"""
local owner = redis.call('GET', KEYS[1])
if owner ~= ARGV[1] then return redis.error_reply('LOST ' .. (owner or '')) end
redis.call('HSET', KEYS[2], 'caught_up', ARGV[3])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', '{_MOST_MARKS}', '*', 'n', redis.call('INCR', KEYS[4]),
  'host', ARGV[2], 'file', '')
return redis.status_reply('OK')
"""

#: KEYS: lock, info, hosts. ARGV: token, milliseconds, host. Whether it is ours still; when that was
#: said last, and that there is such a host, is written down again: a Redis may drop what it has.
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'seen', redis.call('TIME')[1])
redis.call('SADD', KEYS[3], ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

#: KEYS: lock. ARGV: token. It is nobody's then, if it was that one's.
LET_GO = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
