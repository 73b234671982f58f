/**
 * `host-enroll` and `hosts/:id/approve`: how a host comes into the registry (protocols 5.4). It brings a join token and proves each of its
 * keys. What exists already, an id or a key, changes only with an operator's approval.
 */
import { badRequest, SshFormatError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { HOST_NAMESPACE, hostProofMessage } from '../../../ssh/host/host-request.ts'
import { issuerName } from '../../../ssh/host/statement.ts'
import { encodeAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import { isSameKey, type PublicKey } from '../../../ssh/key/public-key.ts'
import { verifyMessage } from '../../../ssh/sshsig.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { absent } from '../page.ts'
import { scopedKeyLines } from '../scope/scoped-issuer.ts'
import { hostsConfig } from './config-hosts.ts'
import { hostFields, listsOf, parseHostKey } from './host-fields.ts'
import { identityOf } from './identity.ts'
import { joiningOf } from './join-token.ts'
import {
  checkTaken,
  findHost,
  type HostRecord,
  hostName,
  hostWith,
  putHost,
  REQUESTS,
  readHost,
} from './registry.ts'
import type { HostRequests } from './signed-request.ts'

const MAX_HOST_KEYS = 8

/** An enrolment that waits for an operator: what the host that is there already would become. */
interface EnrolmentRequest {
  readonly hostKeys: readonly string[]
  readonly addresses: readonly string[]
  readonly joinToken: string
  readonly remoteAddress: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

const fields = {
  join_token: { type: 'string', description: 'The join token.' },
  name: {
    type: 'string',
    description: 'Id that the host would like to have; the join token says which it may.',
  },
  addresses: hostFields.addresses,
  host_keys: {
    type: 'comma-list',
    description: 'Its public host keys. The first signs the request.',
  },
  proofs: {
    type: 'comma-list',
    description:
      'For each further key an SSHSIG of the enrolment, in base64, in the order of the keys.',
  },
} as const

async function enroll(
  call: Call<typeof fields>,
  requests: HostRequests,
  clusterId: string,
): Promise<Outcome> {
  const { store, config, now, fields: values } = call
  if (!(await hostsConfig(config)).hostScope) {
    throw badRequest('the mount takes no hosts: write host_scope=true to config/hosts')
  }
  // First the token: whoever has none must not fill the memory of requests that were seen.
  const joining = await joiningOf(call, values.join_token, values.name)
  const hostKeys = provenKeys(values, requests.newcomer(call))
  const { addresses = [] } = listsOf({ addresses: values.addresses }, call.given)
  const lines = hostKeys.map((key) => encodeAuthorizedKey(key.blob))
  const { id, record, joinToken, spent } = joining
  const names = record.certificateNames.flatMap((name) => hostName(name) ?? [])
  const host: HostRecord = {
    ...record,
    id,
    names: [...new Set(names)].filter((name) => name !== id).sort(),
    addresses,
    hostKeys: lines.sort(),
    state: joining.needsApproval ? 'pending' : 'active',
    createdAt: now,
    joinToken,
  }
  const taken = await ownerOf(store, host)
  const answer = await welcome(call, clusterId)
  if (taken === undefined) {
    const { writes, conditions } = putHost(store, host)
    return {
      data: { ...answer, host_id: id, state: host.state },
      writes: [...writes, ...spent.writes],
      conditions: [...conditions, ...spent.conditions],
    }
  }
  const request: EnrolmentRequest = {
    hostKeys: host.hostKeys,
    addresses,
    joinToken,
    remoteAddress: call.remoteAddress,
    at: now,
  }
  return {
    data: { ...answer, host_id: taken, state: 'pending' },
    warnings: [
      `the id or a key is that of the host ${taken}: an operator has to write to hosts/${taken}/approve`,
    ],
    writes: [store.put(REQUESTS + taken, encodeRecord(request)), ...spent.writes],
    conditions: spent.conditions,
  }
}

/** The host that has the id or a key already. Refuses an id or a name that another host is called by. */
async function ownerOf(store: StoreView, host: HostRecord): Promise<string | undefined> {
  const { id, names, hostKeys } = host
  if (await findHost(store, id)) return id
  const namesake = await hostWith(store, { hostKeys: [], names: [id, ...names] })
  if (namesake !== undefined) throw badRequest(`the host ${namesake} is called by that name`)
  return hostWith(store, { hostKeys, names: [] })
}

/** What a host has to know of the server; it pins the key. */
async function welcome({ config, mount }: Call, clusterId: string) {
  const identity = await identityOf(config)
  return {
    cluster_id: clusterId,
    issuer: issuerName(clusterId, mount.path),
    mount: mount.path.slice(0, -1),
    server_key: identity.publicKeyText,
    user_cas: await scopedKeyLines(config),
  }
}

/** The keys, each seen to sign. Throws where the signer is not the first, or a proof does not hold. */
function provenKeys(
  { host_keys: lines, proofs, join_token: joinToken }: Call<typeof fields>['fields'],
  signer: PublicKey,
): readonly PublicKey[] {
  if (lines.length < 1 || lines.length > MAX_HOST_KEYS) {
    throw badRequest(`host_keys: 1 to ${MAX_HOST_KEYS} keys`)
  }
  const keys = lines.map(readKey)
  const [first] = keys as [PublicKey]
  if (!isSameKey(first, signer)) throw badRequest('the first of host_keys has to sign the request')
  if (proofs.length !== keys.length - 1) {
    throw badRequest('proofs has to hold a signature for each key but the first')
  }
  const message = hostProofMessage(joinToken, first.blob)
  for (const [at, key] of keys.slice(1).entries()) {
    const made = proofMaker(proofs[at] ?? '', message)
    if (!made || !isSameKey(made, key)) {
      throw badRequest(`the proof of the key ${fingerprint(key.blob)} does not hold`)
    }
  }
  return keys
}

function readKey(line: string): PublicKey {
  try {
    return parseHostKey(line)
  } catch (error) {
    if (error instanceof SshFormatError) throw badRequest(`host_keys: ${error.message}`)
    throw error
  }
}

function proofMaker(proof: string, message: Uint8Array): PublicKey | undefined {
  try {
    return verifyMessage(Buffer.from(proof, 'base64'), { namespace: HOST_NAMESPACE, message })
  } catch (error) {
    if (error instanceof SshFormatError) return undefined
    throw error
  }
}

/** An enrolment that waits for approval, as reads of the host show it. */
export async function pendingEnrolment(
  store: StoreView,
  id: string,
): Promise<Record<string, unknown> | undefined> {
  const request = await readRequest(store, id)
  if (!request) return undefined
  return {
    addresses: request.addresses,
    host_keys: request.hostKeys,
    join_token_id: request.joinToken,
    remote_address: request.remoteAddress,
    time: new Date(request.at).toISOString(),
  }
}

async function readRequest(store: StoreView, id: string): Promise<EnrolmentRequest | undefined> {
  const entry = await store.get(REQUESTS + id)
  return entry && decodeRecord<EnrolmentRequest>(entry.value)
}

/** The fingerprint says what was looked at: another enrolment may have come since. */
async function approve({ store, fields }: Call<typeof approveFields>): Promise<Outcome> {
  const { id, fingerprint: seen } = fields
  const stored = await readHost(store, id)
  if (!stored) throw absent()
  const request = await readRequest(store, id)
  if (!request && stored.host.state !== 'pending') {
    throw badRequest(`nothing of the host ${id} waits for approval`)
  }
  const { hostKeys, addresses } = request ?? stored.host
  if (!hostKeys.some((line) => fingerprint(parseHostKey(line).blob) === seen)) {
    throw badRequest(
      'fingerprint has to be that of a key that waits for approval, as ssh-keygen -lf shows it on the host',
    )
  }
  const approved: HostRecord = { ...stored.host, state: 'active', hostKeys, addresses }
  await checkTaken(store, approved)
  const { writes, conditions } = putHost(store, approved, stored)
  return {
    data: { host_id: id, state: approved.state, host_keys: approved.hostKeys },
    writes: [...writes, store.remove(REQUESTS + id)],
    conditions,
  }
}

const approveFields = {
  id: { type: 'string', description: 'Id of the host.', secret: false },
  fingerprint: {
    type: 'string',
    description: 'SHA-256 fingerprint of one of the keys that wait for approval. Required.',
  },
} as const

export function enrolPaths(requests: HostRequests, clusterId: () => string): readonly Path[] {
  return [
    declarePath({
      pattern: 'host-enroll',
      fields,
      auth: 'none',
      chargesMisses: true,
      operations: { update: (call) => enroll(call, requests, clusterId()) },
      synopsis: 'Enrols a host: it brings a join token and proves its keys.',
      description:
        'For postern-host, which signs the request with its first host key. Gives the id of the host, and what it has to trust. Where id or key belong to a host already, an operator has to approve.',
    }),
    declarePath({
      pattern: 'hosts/:id/approve',
      fields: approveFields,
      operations: { update: approve },
      synopsis: 'Lets a host in that waits for approval.',
      description:
        'A new one whose join token wants approval, or one that enrolled anew with another key: its keys and addresses take the place of the old ones. Compare the fingerprints on the host first (ssh-keygen -lf).',
    }),
  ]
}
