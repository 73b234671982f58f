/** `certs` and `cert/:serial`: what the mount has signed, for whom. Searches read a bounded number of records and tell where they stopped. */
import { rfc3339 } from '../../../clock.ts'
import { badRequest, SshFormatError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import { decodeRecord, type StoreView } from '../../../storage/view.ts'
import { issuerIndex, lookUp } from '../ca/issuers.ts'
import { resolveHost } from '../host/registry.ts'
import { lastUse } from '../login/login-store.ts'
import { absent } from '../page.ts'
import { REVOKED_KEYS } from './krl/store.ts'
import {
  CERTIFICATES,
  type CertificateRecord,
  findCertificate,
  readCertificates,
  serialIn,
} from './record.ts'
import { type Revocation, revocationName } from './revoke.ts'
import { firstSerial, parseSerial, serialName, serialTime } from './serial.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000
const PAGE = 250
const MAX_SCANNED = 5000

const fields = {
  display_name: {
    type: 'string',
    description: 'Only those that the holder of a token of this name asked for.',
  },
  host: {
    type: 'string',
    description: 'Only those for this host by its id; given by id, name or address.',
  },
  principal: { type: 'string', description: 'Only those with this principal.' },
  fingerprint: {
    type: 'string',
    description: 'Only those of the key with this fingerprint, `SHA256:…`.',
  },
  public_key: { type: 'string', description: 'Only those of this key: a line of authorized_keys.' },
  accessor: {
    type: 'string',
    description: "Only those that were signed for this token's request.",
  },
  role: { type: 'string', description: 'Only those of this role.' },
  issuer_ref: { type: 'string', description: 'Only those that this issuer signed: id or name.' },
  since: { type: 'time', description: 'Only those signed at this time or later.' },
  until: { type: 'time', description: 'Only those signed before this time.' },
  after: {
    type: 'string',
    description: 'Only those after this serial number: where the page before ended.',
  },
  limit: {
    type: 'int',
    default: DEFAULT_LIMIT,
    description: `Shows at most so many; ${MAX_LIMIT} at most.`,
  },
} as const
type ListCall = Call<typeof fields>

async function list(call: ListCall): Promise<Outcome> {
  const { store, fields: sent } = call
  const isMeant = await filterOf(call)
  const limit = sent.limit > 0 ? Math.min(sent.limit, MAX_LIMIT) : DEFAULT_LIMIT
  const end = sent.until === 0 ? undefined : serialName(firstSerial(sent.until * 1000))
  const found: CertificateRecord[] = []
  let after = startOf(sent.since, sent.after)
  let isMore = true
  for (let scanned = 0; isMore && found.length < limit && scanned < MAX_SCANNED; ) {
    const page = await store.list(CERTIFICATES, after === '' ? '' : CERTIFICATES + after, PAGE)
    const serials = page.map(serialIn)
    const wanted = end === undefined ? serials : serials.filter((serial) => serial < end)
    scanned += wanted.length
    const meant = (await readCertificates(store, wanted)).filter(isMeant)
    const fitting = meant.slice(0, limit - found.length)
    found.push(...fitting)
    isMore = page.length === PAGE && wanted.length === page.length
    if (fitting.length < meant.length) isMore = true
    after = (found.length === limit ? found.at(-1)?.serial : wanted.at(-1)) ?? after
  }
  if (found.length === 0 && !isMore) throw absent()
  const shown = await showAll(store, found)
  return {
    data: {
      keys: shown.map(({ serial_number }) => serial_number),
      key_info: Object.fromEntries(shown.map((one) => [one['serial_number'], one])),
      ...(isMore && { next: after }),
    },
  }
}

/** The cursor just before the first that is wanted. */
function startOf(since: number, after: string): string {
  const given = after === '' ? 0n : parseSerial(after)
  if (given === undefined) throw badRequest('after is no serial number')
  const first = firstSerial(since * 1000)
  return serialName(given >= first || first === 0n ? given : first - 1n)
}

async function filterOf(call: ListCall): Promise<(record: CertificateRecord) => boolean> {
  const { display_name, principal, role, issuer_ref, accessor } = call.fields
  const wanted: Partial<CertificateRecord> = {
    ...(display_name !== '' && { displayName: display_name }),
    ...(role !== '' && { role }),
    ...(accessor !== '' && { accessor }),
    ...(issuer_ref !== '' && { issuerId: await issuerId(call) }),
    ...keyWanted(call),
  }
  const hostId = call.fields.host === '' ? undefined : await hostIdOf(call)
  const members = Object.entries(wanted) as [keyof CertificateRecord, string][]
  return (record) =>
    members.every(([name, value]) => record[name] === value) &&
    (principal === '' || record.principals.includes(principal)) &&
    (hostId === undefined || record.scope?.hosts.includes(hostId) === true)
}

/** Of one that was deleted, the id is what its records still know. */
async function issuerId({ config, fields: { issuer_ref: ref } }: ListCall): Promise<string> {
  return lookUp(await issuerIndex(config), ref)?.id ?? ref
}

function keyWanted({ fields: sent }: ListCall): { fingerprint?: string } {
  if (sent.public_key === '') {
    return sent.fingerprint === '' ? {} : { fingerprint: sent.fingerprint.replace(/=+$/, '') }
  }
  try {
    return { fingerprint: fingerprint(parseAuthorizedKey(sent.public_key).blob) }
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
    throw badRequest(`public_key: ${error.message}`)
  }
}

/** A host that was deleted is still named by its id. */
async function hostIdOf({ store, fields: { host } }: ListCall): Promise<string> {
  const id = (await resolveHost(store, host))?.id ?? host
  if (/^[a-z0-9.-]+$/.test(id)) return id
  throw absent()
}

/** Records in wire names, with what has become of them. */
async function showAll(
  store: StoreView,
  records: readonly CertificateRecord[],
): Promise<Record<string, unknown>[]> {
  const names = records.flatMap(({ serial, issuerId: issuer, fingerprint: text }) => [
    revocationName(serial, issuer),
    REVOKED_KEYS + Buffer.from(text.replace(/^SHA256:/, ''), 'base64').toString('hex'),
  ])
  const entries = await store.getAll(names)
  return records.map((record, at) => {
    const entry = entries[2 * at] ?? entries[2 * at + 1]
    return show(record, entry && decodeRecord<Revocation>(entry.value))
  })
}

function show(
  record: CertificateRecord,
  revocation: Revocation | undefined,
): Record<string, unknown> {
  const serial = BigInt(`0x${record.serial}`)
  const { scope } = record
  return {
    accessor: record.accessor,
    cert_type: record.type,
    display_name: record.displayName,
    entity_id: record.entityId,
    fingerprint: record.fingerprint,
    ...(scope && { groups: scope.groups, hosts: scope.hosts, tags: scope.tags }),
    issued_at: rfc3339(serialTime(serial)),
    issuer_id: record.issuerId,
    key_id: record.keyId,
    principals: record.principals,
    remote_address: record.remoteAddress,
    request_id: record.requestId,
    revoked: revocation !== undefined,
    ...(revocation && {
      revoked_at: rfc3339(revocation.at),
      revoked_by: revocation.displayName ?? '',
      revoked_for: revocation.reason,
    }),
    role: record.role,
    /** As sshd and ssh-keygen show it: JSON numbers do not hold it. */
    serial: serial.toString(),
    serial_number: serial.toString(16),
    valid_after: rfc3339(record.validAfter * 1000),
    valid_before: rfc3339(record.validBefore * 1000),
  }
}

const serialFields = {
  serial: {
    type: 'string',
    description: 'Serial number: in hex as sign answers it, or decimal as sshd logs it.',
  },
} as const

async function read({ store, fields: sent }: Call<typeof serialFields>): Promise<Outcome> {
  const serial = parseSerial(sent.serial)
  if (serial === undefined) throw badRequest('this is no serial number')
  const record = await findCertificate(store, serial)
  if (!record) throw absent()
  const [[data], use] = await Promise.all([showAll(store, [record]), lastUse(store, record.serial)])
  return {
    data: {
      ...data,
      ...(use && {
        last_used: rfc3339(use.at * 1000),
        last_used_from: use.from,
        last_used_host: use.host,
        last_used_login: use.login,
        last_used_user: use.user,
      }),
    },
  }
}

export const certificatePaths: readonly Path[] = [
  declarePath({
    pattern: 'certs',
    fields,
    operations: { list },
    synopsis: 'The certificates that this mount has signed, in the order of signing.',
    description:
      'Lists serial numbers, with a record for each; those of roles with `no_store` are missing. A search looks at 5,000 records at most: `next` in the answer is where to go on, as `after`.',
  }),
  declarePath({
    pattern: 'cert/:serial',
    names: { serial: 'visible' },
    fields: serialFields,
    operations: { read },
    synopsis: 'A certificate that this mount has signed.',
    description:
      'For whom it was signed and how it was asked for, whether it is revoked, and when it was last used, where hosts report that.',
  }),
]
