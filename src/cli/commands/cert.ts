/** `cert list`, `cert show` and `cert revoke`: what was signed for whom, and how to end it before its time. */
import { readFileSync } from 'node:fs'
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
const keyFlag: Flag = textFlag('public-key-path', 'file', 'A public key, as in id_ed25519.pub.')
const hostFlag: Flag = textFlag('host', 'host', 'For this host alone; by id, name or address.')

/** Flags that are fields of the path, with the same words. */
const searches: readonly Flag[] = [
  textFlag('display-name', 'name', 'Asked for by the holder of a token of this name.'),
  hostFlag,
  textFlag('principal', 'name', 'With this principal.'),
  textFlag('fingerprint', 'SHA256:…', 'Of the key with this fingerprint.'),
  textFlag('accessor', 'accessor', 'Signed for the token of this accessor.'),
  textFlag('role', 'name', 'Of this role.'),
  textFlag('issuer', 'ref', 'Signed by this issuer; id or name.'),
  textFlag(
    'since',
    'time',
    'Signed since then: a time as 2026-11-22T12:00:00Z, or how long ago, 24h.',
  ),
  textFlag('until', 'time', 'Signed before that.'),
  textFlag('after', 'serial', 'After this serial number: where a list ended.'),
]

export const certList: Command = {
  args: [],
  flags: [
    ...searches,
    keyFlag,
    textFlag('limit', 'count', `So many at most; ${LIMIT} when absent.`),
    mountFlag,
  ],
  description: 'In the order of signing. Certificates of roles with no_store are in no list.',
  examples: ['postern cert list -display-name=token-alice -since=24h'],
  async run(session) {
    const limit = Number(session.input.text('limit') ?? LIMIT)
    if (!Number.isSafeInteger(limit) || limit < 1) throw usageFailure('-limit is a count')
    const { records, next } = await searchRecords(session, {
      doing: 'listing certificates',
      path: `${mountOf(session)}/certs`,
      query: queryOf(session),
      limit,
    })
    if (session.format !== 'table') printStructured(session, [...records])
    else if (records.length === 0) throw new Failure('No value found', { status: 2 })
    else session.terminal.write(encodeTable(HEADER, records.map(rowOf)))
    if (next !== undefined) warn(session, `there are more: -after=${next}`)
    return 0
  },
}

function queryOf(session: Session): Map<string, string[]> {
  const query = new Map<string, string[]>()
  for (const { name } of searches) {
    const value = session.input.text(name)
    if (value === undefined) continue
    const field = name === 'issuer' ? 'issuer_ref' : name.replaceAll('-', '_')
    query.set(field, [name === 'since' || name === 'until' ? timeOf(value) : value])
  }
  const key = session.input.text('public-key-path')
  if (key !== undefined) query.set('public_key', [readKey(key)])
  return query
}

const HEADER = ['Serial number', 'Signed', 'Valid before', 'For', 'Principals', 'Revoked']

function rowOf(record: JsonObject): string[] {
  const word = (name: string) => goText(record[name] ?? '')
  return [
    word('serial_number'),
    word('issued_at').replace(/\.[0-9]+Z$/, 'Z'),
    word('valid_before').replace(/\.[0-9]+Z$/, 'Z'),
    word('display_name'),
    texts(record['principals']).join(','),
    record['revoked'] === true ? word('revoked_at').replace(/\.[0-9]+Z$/, 'Z') : '',
  ]
}

export const certShow: Command = {
  args: [{ name: 'serial' }],
  flags: [fieldFlag, mountFlag],
  description: 'SERIAL is in hex as the server answers it, or decimal as sshd logs it.',
  examples: ['postern cert show 6880c82880049187'],
  async run(session) {
    const [serial = ''] = session.input.args
    if (!/^[0-9a-zA-Z]+$/.test(serial)) throw usageFailure(`not a serial number: ${serial}`)
    const path = `${mountOf(session)}/cert/${serial}`
    const reply = await session.askMaybe('reading the certificate', 'GET', path)
    if (reply === undefined) throw new Failure(`No record of ${serial}`, { status: 2 })
    printReply(session, reply)
    return 0
  },
}

export const certRevoke: Command = {
  args: [{ name: 'serial', isOptional: true }],
  flags: [
    keyFlag,
    textFlag(
      'accessor',
      'accessor',
      'All that the token and those below it were given; of one that has ended, its own alone.',
    ),
    { name: 'token', kind: 'bool', help: 'The same for the token on standard input.' },
    hostFlag,
    textFlag('issuer', 'ref', 'With SERIAL, where there is no record: who signed; id or name.'),
    textFlag('ttl', 'duration', 'With -issuer: how long it is valid still; for good when absent.'),
    fieldFlag,
    mountFlag,
  ],
  description:
    'By one of SERIAL, key, token or host. Hosts that fetch the KRL refuse them from then on; a session that is open goes on. There is no way back.',
  examples: ['postern cert revoke 6880c82880049187', 'postern cert revoke -host=web-1'],
  async run(session) {
    const body = await revoked(session)
    const path = `${mountOf(session)}/revoke`
    printReply(session, await session.ask('revoking', 'PUT', path, { body }))
    return 0
  },
}

async function revoked(session: Session): Promise<JsonObject> {
  const { input } = session
  const [serial] = input.args
  const [accessor, host, key] = ['accessor', 'host', 'public-key-path'].map((name) =>
    input.text(name),
  )
  const subjects: JsonObject = {
    ...(serial !== undefined && { serial_number: serial }),
    ...(accessor !== undefined && { accessor }),
    ...(host !== undefined && { host }),
    ...(key !== undefined && { public_key: readKey(key) }),
    ...(input.bool('token') && { token: (await session.terminal.readInput()).trim() }),
  }
  if (Object.keys(subjects).length !== 1) {
    throw usageFailure('name one serial number, key, token or host')
  }
  const [issuer, ttl] = [input.text('issuer'), input.text('ttl')]
  if (serial === undefined && (issuer ?? ttl) !== undefined) {
    throw usageFailure('-issuer and -ttl go with a serial number only')
  }
  return {
    ...subjects,
    ...(issuer !== undefined && { issuer_ref: issuer }),
    ...(ttl !== undefined && { ttl }),
  }
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw usageFailure(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`)
  }
}
