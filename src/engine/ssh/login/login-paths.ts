/** `logins` and `login/:id`: who is in where now, who was, and what somebody should look at. */
import { rfc3339 } from '../../../clock.ts'
import { badRequest } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { isHostId } from '../../../ssh/scoped-name.ts'
import { decodeRecord, type StoreView } from '../../../storage/view.ts'
import { resolveHost } from '../host/registry.ts'
import { parseSerial, serialName } from '../inventory/serial.ts'
import { absent } from '../page.ts'
import {
  type LoginFlag,
  type LoginRecord,
  loginFlags,
  loginFolder,
  OPEN,
  openName,
  readLogins,
  timePart,
} from './login-store.ts'
import { neverUsed } from './never-used.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000
const PAGE = 250
const MAX_SCANNED = 5000
const NEVER_USED = 'never-used'

const fields = {
  open: { type: 'bool', description: 'Only those who are in now.' },
  host: { type: 'string', description: 'Only those on this host; by id, name or address.' },
  user: { type: 'string', description: 'Only those as this user of the host.' },
  display_name: {
    type: 'string',
    description: 'Only those with what the holder of a token of this name was issued.',
  },
  serial: {
    type: 'string',
    description: 'Only those with the certificate of this serial number, in hex or decimal.',
  },
  flag: {
    type: 'lowercase',
    description: `Only what has this flag: ${loginFlags.join(', ')}; or ${NEVER_USED}: what was issued, has ended, and was not used.`,
  },
  since: { type: 'time', description: 'Only those of this time or later.' },
  until: { type: 'time', description: 'Only those before this time.' },
  after: {
    type: 'string',
    description: 'Only those after this one: where the page before ended (`next`).',
  },
  limit: {
    type: 'int',
    default: DEFAULT_LIMIT,
    description: `Shows at most so many; ${MAX_LIMIT} at most.`,
  },
} as const
type ListCall = Call<typeof fields>

interface Found {
  readonly records: readonly LoginRecord[]
  readonly next?: string
}

async function list(call: ListCall): Promise<Outcome> {
  const { store, fields: sent, now } = call
  const limit = sent.limit > 0 ? Math.min(sent.limit, MAX_LIMIT) : DEFAULT_LIMIT
  if (sent.flag === NEVER_USED) {
    const { since, until, after, display_name: displayName } = sent
    const page = await neverUsed(store, { since, until, after, displayName, limit, now })
    return answer(
      page.found.map(({ place, shown }) => [place, shown]),
      page.next,
    )
  }
  if (sent.flag !== '' && !loginFlags.some((flag) => flag === sent.flag)) {
    throw badRequest(`flag is one of ${[...loginFlags, NEVER_USED].join(', ')}`)
  }
  const host = sent.host === '' ? '' : await hostIdOf(call)
  const isMeant = filterOf(call)
  const { records, next } = sent.open
    ? await listOpen(store, host, isMeant, { after: sent.after, limit })
    : await listAll(call, host, isMeant, limit)
  return answer(
    records.map((record) => [record.id, show(record)]),
    next,
  )
}

function answer(
  shown: readonly (readonly [string, Record<string, unknown>])[],
  next: string | undefined,
): Outcome {
  if (shown.length === 0 && next === undefined) throw absent()
  return {
    data: {
      keys: shown.map(([id]) => id),
      key_info: Object.fromEntries(shown),
      ...(next !== undefined && { next }),
    },
  }
}

/** From the newest on; ids sort so. */
async function listAll(
  { store, fields: { since, until, after } }: ListCall,
  host: string,
  isMeant: (record: LoginRecord) => boolean,
  limit: number,
): Promise<Found> {
  const folder = loginFolder(host)
  // Ids of a second begin with its text and a hyphen, which sorts before what follows the text here.
  const begin = until > 0 ? `${timePart(until)}~` : ''
  const end = since > 0 ? `${timePart(since)}~` : '~'
  const records: LoginRecord[] = []
  let last = after > begin ? after : begin
  for (let scanned = 0; ; ) {
    const page = await store.list(folder, last === '' ? '' : folder + last, PAGE)
    const ids = page.map((name) => name.slice(folder.length)).filter((id) => id < end)
    for (const record of await readLogins(store, ids)) {
      if (!isMeant(record)) continue
      records.push(record)
      if (records.length === limit) return { records, next: record.id }
    }
    scanned += ids.length
    last = ids.at(-1) ?? last
    if (ids.length < PAGE) return { records }
    if (scanned >= MAX_SCANNED) return { records, next: last }
  }
}

/** Sessions of one host after another, in the order of their rows: `next` names a row. */
async function listOpen(
  store: StoreView,
  host: string,
  isMeant: (record: LoginRecord) => boolean,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<Found> {
  const folder = host === '' ? OPEN : openName(host, '')
  const records: LoginRecord[] = []
  let last = after === '' ? '' : OPEN + after
  for (let scanned = 0; ; ) {
    const names = await store.list(folder, last, PAGE)
    const entries = await store.getAll(names)
    const ids = entries.flatMap((entry) => (entry ? [decodeRecord<string>(entry.value)] : []))
    for (const record of await readLogins(store, ids)) {
      if (!isMeant(record) || !record.login) continue
      records.push(record)
      const row = openName(record.host, record.login.session).slice(OPEN.length)
      if (records.length === limit) return { records, next: row }
    }
    scanned += names.length
    last = names.at(-1) ?? last
    if (names.length < PAGE) return { records }
    if (scanned >= MAX_SCANNED) return { records, next: last.slice(OPEN.length) }
  }
}

function filterOf({ fields: sent }: ListCall): (record: LoginRecord) => boolean {
  const { user, display_name: displayName, flag, serial: text } = sent
  const number = text === '' ? undefined : parseSerial(text)
  if (text !== '' && number === undefined) throw badRequest('serial is no serial number')
  const serial = number === undefined ? '' : serialName(number)
  const isAny = user === '' && displayName === '' && serial === ''
  return ({ flags, login, at }) =>
    (flag === '' || flags.includes(flag as LoginFlag)) &&
    (sent.since === 0 || at >= sent.since) &&
    (sent.until === 0 || at < sent.until) &&
    (isAny ||
      (login !== undefined &&
        (user === '' || login.user === user) &&
        (displayName === '' || login.credential.displayName === displayName) &&
        (serial === '' || login.credential.serial === serial)))
}

/** A host that was deleted is still named by its id. */
async function hostIdOf({ store, fields: { host } }: ListCall): Promise<string> {
  const id = (await resolveHost(store, host))?.id ?? host
  if (isHostId(id)) return id
  throw absent()
}

function show(record: LoginRecord): Record<string, unknown> {
  const { id, host, at, flags, login, gap, skewSeconds, sequence, reportedAt } = record
  const told = {
    host,
    id,
    flags,
    reported_at: rfc3339(reportedAt * 1000),
    sequence,
    ...(skewSeconds !== undefined && { clock_skew: skewSeconds }),
  }
  if (!login) {
    const missing = gap?.missing
    return { ...told, at: rfc3339(at * 1000), ...(missing !== undefined && { missing }) }
  }
  const { credential, endedAt } = login
  const { serial, caFingerprint, keyId, fingerprint, leaseId, role, issuedTo } = credential
  return {
    ...told,
    ...(caFingerprint !== undefined && { ca_fingerprint: caFingerprint }),
    credential: credential.kind,
    ...(role !== undefined && {
      display_name: credential.displayName,
      entity_id: credential.entityId,
    }),
    ...(fingerprint !== undefined && { fingerprint }),
    from: login.from,
    ...(issuedTo !== undefined && { issued_to: issuedTo }),
    ...(keyId !== undefined && { key_id: keyId }),
    ...(leaseId !== undefined && { lease_id: leaseId }),
    login_at: rfc3339(at * 1000),
    ...(endedAt !== undefined && { logout_at: rfc3339(endedAt * 1000) }),
    method: login.method,
    open: endedAt === undefined,
    ...(login.port !== undefined && { port: login.port }),
    ...(role !== undefined && { role }),
    ...(serial !== undefined && { serial_number: BigInt(`0x${serial}`).toString(16) }),
    service: login.service,
    session: login.session,
    user: login.user,
  }
}

const idField = {
  id: { type: 'string', description: 'Id of the login, as `logins` lists it.', secret: false },
} as const

export const loginPaths: readonly Path[] = [
  declarePath({
    pattern: 'logins',
    fields,
    operations: { list },
    synopsis: 'Who is logged in where, and who was.',
    description:
      'As the hosts have reported, from the newest on; with `open`, those who are in now, host by host. Flags: `other-address`, a login from elsewhere than where its credential was asked for; `unknown-credential`, one with something that this mount has not issued, or has no record of; `gap`, events that a host has lost. ' +
      '`flag=never-used` lists what was issued for hosts that report, has ended, and was never used. A search looks at 5,000 records at most: `next` in the answer is where to go on, as `after`.',
  }),
  declarePath({
    pattern: 'login/:id',
    names: { id: 'visible' },
    fields: idField,
    operations: {
      read: async ({ store, fields: { id } }) => {
        const [record] = await readLogins(store, [id])
        if (!record) throw absent()
        return { data: show(record) }
      },
    },
    synopsis: 'One login: who, from where, with what, and for whom that was issued.',
    description: 'Kept as long as records of certificates (`keep_for` of config/certificates).',
  }),
]
