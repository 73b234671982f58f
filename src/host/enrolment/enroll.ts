/**
 * Makes this host known to the server (protocols 5.4): it brings a join token, proves its keys, and remembers by which key it will know
 * the server from then on.
 */
import { type JsonObject, textAt } from '../../client/json.ts'
import { texts } from '../../client/reply.ts'
import { HOST_NAMESPACE, hostProofMessage } from '../../ssh/host/host-request.ts'
import { parseAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { fingerprint } from '../../ssh/key/fingerprint.ts'
import { isSameKey } from '../../ssh/key/public-key.ts'
import { signBlob } from '../../ssh/sshsig.ts'
import { ownAddresses } from '../address.ts'
import type { HostConfig } from '../config.ts'
import { Server } from './server.ts'
import { readHostKeys } from './signed-request.ts'
import { type HostState, readHostState, writeHostState } from './state.ts'

export interface EnrolRequest {
  readonly config: HostConfig
  /** A secret: never an argument of a process. */
  readonly joinToken: string
  /** Id that the host would like to have. */
  readonly name: string
  /** The server's identity key: a line of authorized_keys, or its fingerprint. */
  readonly serverKey?: string | undefined
  /** Forgets the server that the host knew before. */
  readonly replaces: boolean
}

export interface Enrolled {
  readonly state: HostState
  /** An operator has to let the host in. */
  readonly isPending: boolean
  /** CAs to trust, as lines of authorized_keys. */
  readonly userCas: readonly string[]
  readonly serverFingerprint: string
  /** Its key was named, or known: nobody has to compare the fingerprint. */
  readonly isServerKnown: boolean
}

/** Throws where the server refuses, or is not the one that the config or an earlier enrolment names. */
export async function enrolHost(request: EnrolRequest): Promise<Enrolled> {
  const { config, joinToken, name, replaces, serverKey } = request
  const before = replaces ? undefined : readHostState()
  const keys = readHostKeys()
  const [first, ...others] = keys
  const message = hostProofMessage(joinToken, first.publicKey.blob)
  const proofs = others.map(async (key) =>
    (await signBlob(key, HOST_NAMESPACE, message)).toString('base64'),
  )
  const server = new Server(config)
  try {
    const data = await server.ask(
      { key: first, clusterId: '', hostId: '' },
      'POST',
      'host-enroll',
      {
        join_token: joinToken,
        name,
        addresses: ownAddresses().filter(isElsewhere),
        host_keys: keys.map(({ publicLine }) => publicLine),
        proofs: await Promise.all(proofs),
      },
    )
    const state = { ...versionsOf(before, data), ...stateOf(data) }
    assertServer(config, before, state)
    if (serverKey !== undefined) assertServerKey(serverKey, state)
    writeHostState(state)
    return {
      state,
      isPending: textAt(data, 'state') !== 'active',
      userCas: texts(data['user_cas']),
      serverFingerprint: fingerprint(parseAuthorizedKey(state.serverKey).blob),
      isServerKnown: (before ?? serverKey) !== undefined || config.serverKeys.length > 0,
    }
  } finally {
    server.close()
  }
}

/** Nobody finds this host at addresses that every host has. */
function isElsewhere(address: string): boolean {
  return !/^(127\.|169\.254\.|::1$|fe80:)/.test(address)
}

function stateOf(data: JsonObject): HostState {
  const member = (name: string) => {
    const text = textAt(data, name)
    if (!text) throw new Error(`the server's answer has no ${name}`)
    // Shown beside the fingerprint that somebody compares: nothing may steer the terminal.
    if (/[^\x20-\x7e]/.test(text)) throw new Error(`the server's answer has an odd ${name}`)
    return text
  }
  return {
    hostId: member('host_id'),
    clusterId: member('cluster_id'),
    mount: member('mount'),
    issuer: member('issuer'),
    serverKey: member('server_key'),
  }
}

/** At the same server versions go on not to go back. */
function versionsOf(before: HostState | undefined, data: JsonObject): Partial<HostState> {
  if (!before || before.issuer !== textAt(data, 'issuer')) return {}
  const { krl, leastKrlVersion, bundle } = before
  return {
    ...(krl && { krl }),
    ...(leastKrlVersion !== undefined && { leastKrlVersion }),
    ...(bundle && before.hostId === textAt(data, 'host_id') && { bundle }),
  }
}

function assertServerKey(wanted: string, { serverKey }: HostState): void {
  const key = parseAuthorizedKey(serverKey)
  const isKey = wanted.startsWith('SHA256:')
    ? wanted === fingerprint(key.blob)
    : isSameKey(parseAuthorizedKey(wanted), key)
  if (!isKey) throw new Error(`the server has another key: ${fingerprint(key.blob)}`)
}

function assertServer(
  config: HostConfig,
  before: HostState | undefined,
  { serverKey, clusterId, mount }: HostState,
): void {
  const key = parseAuthorizedKey(serverKey)
  if (config.serverKeys.length > 0 && !config.serverKeys.some((one) => isSameKey(one, key))) {
    throw new Error('the server has another key than server_key of the config says')
  }
  if (config.clusterId !== undefined && config.clusterId !== clusterId) {
    throw new Error('the server is of another cluster than cluster_id of the config says')
  }
  if (mount !== config.mountPoint) throw new Error(`the server calls the mount ${mount}`)
  if (!before) return
  if (before.serverKey !== serverKey && before.nextServerKey !== serverKey) {
    throw new Error(
      'this host is enrolled at a server with another key: -replace forgets it, if that is what you want',
    )
  }
}
