/** `revoke`: puts certificates on the KRL, by serial number, key, token or host. */
import { setImmediate } from 'node:timers/promises'
import { badRequest, SshFormatError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { isHostId } from '../../../ssh/scoped-name.ts'
import type { StoreView } from '../../../storage/view.ts'
import type { TokenTree } from '../../../token/token-tree.ts'
import { DEFAULT_REF, issuerIndex, lookUp } from '../ca/issuers.ts'
import { resolveHost } from '../host/registry.ts'
import { ISSUER_KEYS, krlVersion, NEVER } from './krl/store.ts'
import {
  ALL_TOKENS,
  CERTIFICATES,
  type CertificateRecord,
  findCertificate,
  isForHost,
  readCertificates,
  serialIn,
  tokenIndex,
} from './record.ts'
import {
  type Cause,
  type RevokedCertificate,
  revocable,
  revokeCertificates,
  revokeKeys,
} from './revoke.ts'
import { parseSerial } from './serial.ts'

const PAGE = 500

const fields = {
  serial_number: {
    type: 'string',
    description:
      'Serial number of the certificate: in hex as sign answers it, or decimal as sshd logs it.',
  },
  issuer_ref: {
    type: 'string',
    description:
      'With serial_number, for a certificate without a record: id or name of the issuer that signed it, or the id of one that was deleted. `default`: the default one and the scoped one.',
  },
  ttl: {
    type: 'duration',
    description:
      'With issuer_ref: how long the certificate is valid still. Absent: the serial stays on the list for good.',
  },
  public_key: {
    type: 'string',
    description:
      'Key to revoke for good, alone and in every certificate: a line of authorized_keys.',
  },
  accessor: {
    type: 'string',
    description:
      'Accessor of a token: all that was signed for it and for the tokens below it; of one that has ended, for it alone.',
  },
  token: { type: 'string', description: 'As accessor, by the token itself.' },
  host: {
    type: 'string',
    description:
      'Host, by id, name or address: all that was signed for it by its id, its own certificates too.',
  },
} as const
type RevokeCall = Call<typeof fields>

const subjects = ['serial_number', 'public_key', 'accessor', 'token', 'host'] as const

async function revoke(call: RevokeCall, tokens: TokenTree): Promise<Outcome> {
  const given = subjects.filter((name) => call.fields[name] !== '')
  const [subject] = given
  if (subject === undefined || given.length > 1) {
    throw badRequest(`give one of ${subjects.join(', ')}`)
  }
  const cause: Cause = {
    reason: subject,
    displayName: call.caller?.displayName ?? '',
    requestId: call.requestId,
  }
  if (subject === 'public_key') {
    return done(call, await revokeKeys(call, [keyOf(call.fields.public_key)], cause))
  }
  const certificates = await certificatesOf(call, subject, tokens)
  // Nothing that follows would notice that the caller's token was revoked meanwhile.
  await call.stillAllowed()
  return done(call, await revokeCertificates(call, certificates, cause))
}

async function done({ store }: RevokeCall, revoked: number): Promise<Outcome> {
  const warnings = revoked === 0 ? ['nothing was revoked that was not revoked or ended before'] : []
  return {
    data: { revoked, version: await krlVersion(store) },
    ...(warnings.length > 0 && { warnings }),
  }
}

async function certificatesOf(
  call: RevokeCall,
  subject: Exclude<(typeof subjects)[number], 'public_key'>,
  tokens: TokenTree,
): Promise<readonly RevokedCertificate[]> {
  const { store, fields } = call
  switch (subject) {
    case 'serial_number':
      return bySerial(call)
    case 'host': {
      const host = await resolveHost(store, fields.host)
      const id = host?.id ?? deletedHost(fields.host)
      return liveUnder(call, ALL_TOKENS, { isNamed: (name) => isForHost(name, id) })
    }
    case 'token':
      return ofTree(call, tokens, call.hmac(fields.token))
    case 'accessor': {
      const id = await tokens.idOf(fields.accessor)
      return id === undefined ? byAccessor(call) : ofTree(call, tokens, id)
    }
  }
}

function keyOf(text: string): Uint8Array {
  try {
    return parseAuthorizedKey(text).blob
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
    throw badRequest(`public_key: ${error.message}`)
  }
}

/** Its certificates outlive its record. */
function deletedHost(text: string): string {
  if (isHostId(text)) return text
  throw badRequest('there is no such host')
}

async function bySerial(call: RevokeCall): Promise<RevokedCertificate[]> {
  const { serial_number: text, issuer_ref: ref, ttl } = call.fields
  const serial = parseSerial(text)
  if (serial === undefined) throw badRequest('serial_number is none')
  const record = await findCertificate(call.store, serial)
  const issuerIds = ref === '' ? [] : await issuerIdsOf(call, ref)
  if (record) {
    if (ref !== '' && !issuerIds.includes(record.issuerId)) {
      throw badRequest(`issuer ${record.issuerId} signed the certificate with this serial number`)
    }
    return [revocable(record)]
  }
  if (ref === '') {
    throw badRequest('there is no record of this serial number: give issuer_ref too')
  }
  const expiresAt = ttl === 0 ? NEVER : Math.min(Math.ceil(call.now / 1000) + ttl, NEVER - 1)
  return issuerIds.map((issuerId) => ({ serial, issuerId, expiresAt }))
}

async function issuerIdsOf({ config, store }: RevokeCall, ref: string): Promise<string[]> {
  const index = await issuerIndex(config)
  const entry = lookUp(index, ref)
  const ids = entry ? [entry.id] : []
  // As in roles: nothing tells which of the two signed a certificate without a record.
  if (ref === DEFAULT_REF && index.scopedId !== undefined) ids.push(index.scopedId)
  if (ids.length > 0) return ids
  if (/^[0-9a-f-]{36}$/.test(ref) && (await store.get(ISSUER_KEYS + ref))) return [ref]
  throw badRequest(`unable to find issuer for reference: ${ref}`)
}

async function ofTree(
  call: RevokeCall,
  tokens: TokenTree,
  tokenId: string,
): Promise<RevokedCertificate[]> {
  const found: RevokedCertificate[] = []
  for await (const id of tokens.below(tokenId)) {
    for (const one of await liveUnder(call, tokenIndex(id))) found.push(one)
  }
  return found
}

/** For a token that is gone: nothing leads from its accessor to its id any more, so that every record is looked at. */
async function byAccessor(call: RevokeCall): Promise<RevokedCertificate[]> {
  const { accessor } = call.fields
  return liveUnder(call, CERTIFICATES, { isMeant: (record) => record.accessor === accessor })
}

interface Wanted {
  /** By the name under the folder: the record is not read where it says no. */
  readonly isNamed?: (name: string) => boolean
  readonly isMeant?: (record: CertificateRecord) => boolean
}

/** The certificates of a folder that have not ended. */
export async function liveUnder(
  { store, now }: { readonly store: StoreView; readonly now: number },
  folder: string,
  { isNamed = () => true, isMeant = () => true }: Wanted = {},
): Promise<RevokedCertificate[]> {
  const found: RevokedCertificate[] = []
  for (let after = ''; ; ) {
    const page = await store.list(folder, after, PAGE)
    const serials = new Set(page.filter(isNamed).map(serialIn))
    const records = await readCertificates(store, [...serials])
    const live = records.filter((one) => one.validBefore > now / 1000 && isMeant(one))
    found.push(...live.map(revocable))
    if (page.length < PAGE) return found
    after = page.at(-1) as string
    // Reading does not leave the event loop by itself.
    await setImmediate()
  }
}

export function revokePath(tokens: TokenTree): Path {
  return declarePath({
    pattern: 'revoke',
    fields,
    operations: { update: (call) => revoke(call, tokens) },
    actsItself: true,
    synopsis: 'Revokes certificates: hosts that fetch the KRL refuse them.',
    description:
      'By one of serial number, public key, token or host. Needs a policy of its own: that somebody may sign, or was given the certificate, does not allow it. Tokens live on: ' +
      'auth/token/revoke with `revoke_certificates` ends both. What was revoked stays revoked.',
  })
}
