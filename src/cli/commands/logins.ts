/** `logins` and `logins show`: who is in where, who was, and what somebody should look at. */
import type { JsonObject } from '../../client/json.ts'
import { texts } from '../../client/reply.ts'
import type { Command, Flag } from '../declaration/command.ts'
import { fieldFlag } from '../declaration/common-flags.ts'
import { textFlag } from '../declaration/flag.ts'
import { Failure, usageFailure } from '../failure.ts'
import { goText } from '../output/go-text.ts'
import { printReply, printStructured, warn } from '../output/output.ts'
import { encodeTable } from '../output/table.ts'
import type { Session } from '../session.ts'
import { mountFlag, mountOf } from './host/host-path.ts'
import { searchRecords, timeOf } from './search.ts'

const LIMIT = 100

/** Flags that are fields of the path, with the same words. */
const searches: readonly Flag[] = [
  textFlag('host', 'host', 'On this host; by id, name or address.'),
  textFlag('user', 'name', 'As this user of the host.'),
  textFlag('display-name', 'name', 'With what the holder of a token of this name was issued.'),
  textFlag('serial', 'serial', 'With the certificate of this serial number.'),
  textFlag(
    'flag',
    'other-address|unknown-credential|never-used|gap',
    'What has this flag; never-used: what was issued, has ended, and was not used.',
  ),
  textFlag('since', 'time', 'Since then: a time as 2026-11-22T12:00:00Z, or how long ago, 24h.'),
  textFlag('until', 'time', 'Before that.'),
  textFlag('after', 'id', 'Where a list ended.'),
]

export const logins: Command = {
  args: [],
  flags: [
    { name: 'open', kind: 'bool', help: 'Only those who are in now.' },
    ...searches,
    textFlag('limit', 'count', `So many at most; ${LIMIT} when absent.`),
    mountFlag,
  ],
  description: 'As hosts with postern-host have reported them, the newest first.',
  examples: ['postern logins -open', 'postern logins -flag=unknown-credential -since=24h'],
  async run(session) {
    const limit = Number(session.input.text('limit') ?? LIMIT)
    if (!Number.isSafeInteger(limit) || limit < 1) throw usageFailure('-limit is a count')
    const path = `${mountOf(session)}/logins`
    const { records, next } = await searchRecords(session, {
      doing: 'listing logins',
      path,
      query: queryOf(session),
      limit,
    })
    if (session.format !== 'table') printStructured(session, [...records])
    else if (records.length === 0) throw new Failure('No value found', { status: 2 })
    else session.terminal.write(tableOf(session, records))
    if (next !== undefined) warn(session, `there are more: -after=${next}`)
    return 0
  },
}

function queryOf({ input }: Session): Map<string, string[]> {
  const query = new Map<string, string[]>()
  if (input.bool('open') === true) query.set('open', ['true'])
  for (const { name } of searches) {
    const value = input.text(name)
    if (value === undefined) continue
    const isTime = name === 'since' || name === 'until'
    query.set(name.replaceAll('-', '_'), [isTime ? timeOf(value) : value])
  }
  return query
}

const word = (record: JsonObject, name: string): string => goText(record[name] ?? '')
const time = (record: JsonObject, name: string): string =>
  word(record, name).replace(/\.[0-9]+Z$/, 'Z')

function tableOf(session: Session, records: readonly JsonObject[]): string {
  if (session.input.text('flag') === 'never-used') {
    const header = ['Credential', 'Issued', 'Ended', 'For', 'To', 'Role']
    const rows = records.map((one) => [
      `${word(one, 'credential')} ${word(one, 'serial_number') || word(one, 'lease_id')}`,
      ...[time(one, 'issued_at'), time(one, 'ended_at'), word(one, 'display_name')],
      ...[word(one, 'issued_to'), word(one, 'role')],
    ])
    return encodeTable(header, rows)
  }
  const header = ['Login', 'At', 'Until', 'Host', 'User', 'From', 'For', 'With', 'Flags']
  return encodeTable(header, records.map(rowOf))
}

function rowOf(record: JsonObject): string[] {
  const isGap = record['user'] === undefined
  const missing = word(record, 'missing') || 'some'
  return [
    word(record, 'id'),
    isGap ? time(record, 'at') : time(record, 'login_at'),
    record['open'] === true ? 'now' : time(record, 'logout_at'),
    word(record, 'host'),
    isGap ? `(${missing} missing)` : word(record, 'user'),
    ...['from', 'display_name', 'credential'].map((name) => word(record, name)),
    texts(record['flags']).join(','),
  ]
}

export const loginsShow: Command = {
  args: [{ name: 'id' }],
  flags: [fieldFlag, mountFlag],
  description: 'ID is as logins shows it.',
  examples: ['postern logins show 98204467153-a1d1a06c3c2b8b35'],
  async run(session) {
    const [id = ''] = session.input.args
    if (!/^[0-9a-f-]+$/.test(id)) throw usageFailure(`not the id of a login: ${id}`)
    const path = `${mountOf(session)}/login/${id}`
    const reply = await session.askMaybe('reading the login', 'GET', path)
    if (reply === undefined) throw new Failure(`No login ${id}`, { status: 2 })
    printReply(session, reply)
    return 0
  },
}
