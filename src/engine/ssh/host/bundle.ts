/**
 * `host/bundle` and `host/certificate`: what a host asks for by itself, signed with its key (protocols 5.4, 5.6). A bundle
 * is for one host, and its version is stored before it is told and never goes back.
 */
import { createHash } from 'node:crypto'
import { badRequest, PosternError, SshFormatError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type MountViews, type Path } from '../../../mount/path.ts'
import {
  type BundleStatement,
  issuerName,
  STATEMENT_SECONDS,
  signStatement,
} from '../../../ssh/host/statement.ts'
import { parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { isSameKey, type PublicKey } from '../../../ssh/key/public-key.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { certify } from '../ca/sign.ts'
import type { Terms } from '../ca/terms.ts'
import { krlVersion } from '../inventory/krl/store.ts'
import { scopedKeyLines } from '../scope/scoped-issuer.ts'
import { hostsConfig, signsHosts } from './config-hosts.ts'
import { seen } from './host-state.ts'
import { identityOf } from './identity.ts'
import type { HostRecord } from './registry.ts'
import type { HostRequests } from './signed-request.ts'

const BUNDLES = 'host-bundles/'
/** No version is below it: written after a restore, when hosts may have seen versions that the store has not. */
const FLOOR = 'host-bundle-floor'
/** A host whose clock is behind takes its certificate all the same. */
const BACKDATED_SECONDS = 300

interface BundleVersion {
  readonly version: number
  /** Of what the bundle says, its times and the KRL's version aside. */
  readonly digest: string
}

async function bundle(call: Call, requests: HostRequests, clusterId: string): Promise<Outcome> {
  const host = await requests.hostOf(call)
  const { config, store, now } = call
  const identity = await identityOf(config)
  const { nextPublicKeyText: next } = identity
  const content = {
    issuer: issuerName(clusterId, call.mount.path),
    hostId: host.id,
    serverKey: identity.publicKeyText,
    ...(next !== undefined && { nextServerKey: next }),
    userCas: await scopedKeyLines(config),
    accounts: host.accounts,
    groups: host.groups,
    tags: host.tags.map(([key, value]) => `${key}=${value}`),
    hostCertificates: host.certificateNames.length > 0 && (await signsHosts(config)),
  }
  const { version, ...change } = await versionOf(store, host, JSON.stringify(content), now)
  const issuedAt = Math.floor(now / 1000)
  const statement: BundleStatement = {
    ...content,
    version,
    issuedAt,
    notAfter: issuedAt + STATEMENT_SECONDS,
    krlVersion: await krlVersion(store),
  }
  const signed = await signStatement('bundle', identity, statement)
  const state = await seen(store, host.id, now, {
    remoteAddress: call.remoteAddress,
    bundleVersion: version,
  })
  return {
    data: { ...signed },
    writes: [...change.writes, ...state],
    conditions: change.conditions,
  }
}

async function versionOf(store: StoreView, { id }: HostRecord, content: string, now: number) {
  const name = BUNDLES + id
  const [entry, floorEntry] = await store.getAll([name, FLOOR])
  const known = entry && decodeRecord<BundleVersion>(entry.value)
  const floor = floorEntry ? decodeRecord<number>(floorEntry.value) : 0
  const digest = createHash('sha256').update(content).digest('base64')
  if (known && known.digest === digest && known.version >= floor) {
    return { version: known.version, writes: [], conditions: [] }
  }
  const version = Math.max((known?.version ?? 0) + 1, floor, Math.floor(now / 1000))
  const record: BundleVersion = { version, digest }
  return {
    version,
    writes: [store.put(name, encodeRecord(record))],
    conditions: [store.when(name, entry?.version ?? 'absent')],
  }
}

/** After a restore: versions of before it may be on hosts, and go on from there. */
export async function raiseBundleFloor({ store, now }: MountViews): Promise<void> {
  await store.commit([store.put(FLOOR, encodeRecord(Math.floor(now / 1000) + 1))], [])
}

/** What a role would say: there is none that a host's certificate depends on. */
const HOST_ROLE = { algorithmSigner: 'default', keyIdFormat: '', allowEmptyPrincipals: false }

const certificateFields = {
  public_key: { type: 'string', description: 'The host key to certify, one of its enrolled ones.' },
} as const

/** Its names are an operator's or the join token's, whatever the host asks for. */
async function certificate(
  call: Call<typeof certificateFields>,
  requests: HostRequests,
): Promise<Outcome> {
  const { host, condition } = await requests.storedHostOf(call)
  const { config, now } = call
  const subject = ownKey(host, call.fields.public_key)
  if (host.certificateNames.length === 0) {
    throw badRequest(`host ${host.id} has no certificate_names: an operator sets them`)
  }
  const { hostIssuerRef, certificateSeconds } = await hostsConfig(config)
  const seconds = Math.floor(now / 1000)
  const validBefore = seconds + certificateSeconds
  const terms: Terms = {
    role: { ...HOST_ROLE, issuerRef: hostIssuerRef },
    roleName: '',
    type: 'host',
    keyId: `host-${host.id}`,
    accounts: host.certificateNames,
    ownHost: host.id,
    validAfter: BigInt(seconds - BACKDATED_SECONDS),
    validBefore: BigInt(validBefore),
    criticalOptions: new Map(),
    extensions: new Map(),
    // A host that is deleted or disabled meanwhile gets none that its revocation does not find.
    conditions: [condition],
    warnings: [],
  }
  const outcome = await certify(call, terms, subject)
  return { ...outcome, data: { ...outcome.data, valid_before: validBefore } }
}

function ownKey(host: HostRecord, text: string): PublicKey {
  try {
    const key = parseAuthorizedKey(text)
    if (host.hostKeys.some((line) => isSameKey(parseAuthorizedKey(line), key))) return key
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
    throw badRequest(`public_key: ${error.message}`)
  }
  throw new PosternError('permission_denied')
}

export function bundlePaths(requests: HostRequests, clusterId: () => string): readonly Path[] {
  return [
    declarePath({
      pattern: 'host/bundle',
      fields: {},
      auth: 'none',
      chargesMisses: true,
      operations: { read: (call) => bundle(call, requests, clusterId()) },
      synopsis: 'What a host has to know, signed for it alone.',
      description:
        'For postern-host, which signs the request with its host key: the CAs that it trusts, its groups and tags, the least version of the KRL, and the key that signs. Good for 24 hours.',
    }),
    declarePath({
      pattern: 'host/certificate',
      fields: certificateFields,
      auth: 'none',
      chargesMisses: true,
      operations: { update: (call) => certificate(call, requests) },
      synopsis: 'Certifies a key of the host that asks.',
      description:
        'For postern-host, which signs the request with its host key. The names are those of certificate_names of the host; the host has no say in them.',
    }),
  ]
}
