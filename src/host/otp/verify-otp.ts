/**
 * Asks the server about a one-time password and decides whether the user may enter this host (contract 7,
 * 6.7). Every doubt is a no.
 */
import { Client } from '../../client/client.ts'
import { type JsonObject, textAt } from '../../client/json.ts'
import { envelopeOf } from '../../client/reply.ts'
import { secretBytes } from '../../random.ts'
import type { Secret } from '../../redact.ts'
import { VERIFY_NONCE_BYTES } from '../../ssh/host/verify-message.ts'
import { canonicalAddress } from '../address.ts'
import type { HostConfig } from '../config.ts'
import { checkSignedAnswer, type ServerTrust } from './server-trust.ts'

/** Why somebody is not let in; the text holds no secret. */
class Refusal extends Error {
  override readonly name = 'Refusal'
}

export interface Login {
  readonly otp: Secret
  /** The user whom PAM wants to let in. */
  readonly user: string
  /** This host's own, canonical. */
  readonly addresses: readonly string[]
  /** Where the host knows its server: nothing but a signed answer lets the user in. */
  readonly trust: ServerTrust | undefined
  /** Where it is enrolled: headers that sign a request. */
  readonly sign: SignRequest | undefined
  /** Milliseconds since the epoch, asked when the answer is there. */
  readonly now: () => number
}

export type SignRequest = (request: {
  readonly method: 'POST'
  readonly path: string
  readonly body: string
}) => Promise<Readonly<Record<string, string>>>

/** What an accepted password was issued for. */
export interface Grant {
  readonly user: string
  readonly address: string
  readonly role: string
  /** Lease of the password: enrolled hosts are told. */
  readonly lease: string | undefined
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const MAX_REPLY_BYTES = 64 * 1024

/**
 * Spends the password and returns its grant when it fits this user and host. Throws otherwise: a Refusal, or an
 * error of the client. The server compares user and addresses too, so that a wrong host does not spend it.
 */
export async function verifyOtp(
  config: HostConfig,
  login: Login,
  timeoutMilliseconds: number,
): Promise<Grant> {
  const otp = login.otp.reveal()
  if (!UUID.test(otp)) throw new Refusal('the password has not the form of an OTP')
  if (login.user === '') throw new Refusal('PAM_USER is not set')
  // Checked before the password is spent.
  if (config.allowedRoles.length === 0) throw new Refusal('missing allowed_roles')
  const { trust, sign } = login
  const nonce = trust && secretBytes(VERIFY_NONCE_BYTES).toString('base64url')
  const body = {
    otp,
    username: login.user,
    // An OTP for an address in allowed_cidr_list names none of this host's own: only this side can compare. For a host
    // that proves who it is, the server's registry knows the addresses.
    ...(config.allowedBlocks === undefined && !sign && { ips: [...login.addresses] }),
    ...(sign && { host: trust?.hostId ?? '' }),
    ...(nonce !== undefined && { nonce }),
  }
  const data = await ask(config, body, timeoutMilliseconds, sign)
  if (trust && nonce !== undefined) {
    checkSignedAnswer(trust, { nonce, otp, user: login.user }, data, login.now())
  }
  return checkGrant(config, login, data)
}

/** Checks that the server and its mount answer. Throws when they do not. */
export async function verifyConnection(
  config: HostConfig,
  timeoutMilliseconds: number,
): Promise<void> {
  const data = await ask(config, { otp: 'verify-echo-request' }, timeoutMilliseconds)
  if (textAt(data, 'message') !== 'verify-echo-response') throw new Refusal('invalid echo response')
}

async function ask(
  config: HostConfig,
  body: JsonObject,
  timeoutMilliseconds: number,
  sign?: SignRequest,
): Promise<JsonObject> {
  const client = new Client({
    address: config.address,
    namespace: config.namespace,
    timeoutMilliseconds,
    followsRedirects: false,
    maxReplyBytes: MAX_REPLY_BYTES,
    tls: {
      caFile: config.caFile,
      caFolder: config.caFolder,
      serverName: config.serverName,
      skipsVerify: config.skipsVerify,
    },
  })
  try {
    const path = `${config.mountPoint}/verify`
    const signed = { method: 'POST', path: `/v1/${path}`, body: JSON.stringify(body) } as const
    const reply = sign
      ? await client.send('POST', path, { body, headers: await sign(signed) })
      : await client.send('PUT', path, { body })
    // A mount with compat=2015 may answer 204 to a wrong password.
    if (reply.status !== 200) throw new Refusal(`the server answered ${reply.status}`)
    const data = /^application\/json\b/.test(reply.contentType)
      ? envelopeOf(reply)?.data
      : undefined
    if (data === undefined) throw new Refusal("the server's answer can't be read")
    return data
  } finally {
    client.close()
  }
}

function checkGrant(config: HostConfig, login: Login, data: JsonObject): Grant {
  const user = textAt(data, 'username')
  if (user === undefined || user !== login.user) throw new Refusal('username mismatch')
  const address = canonicalAddress(textAt(data, 'ip') ?? '')
  if (address === undefined) throw new Refusal('invalid IP in the verification response')
  // The server knows an enrolled host by its key, and has said by its own that the password is for it.
  const isKnown = login.sign !== undefined && login.trust !== undefined
  if (!isKnown && !login.addresses.includes(address) && !config.allowedBlocks?.(address)) {
    throw new Refusal('the OTP was issued for another address than those of this host')
  }
  const role = textAt(data, 'role_name')
  if (!role) throw new Refusal('missing role name in the verification response')
  if (!config.allowedRoles.includes('*') && !config.allowedRoles.includes(role)) {
    throw new Refusal('the role of the OTP is not one of the allowed_roles')
  }
  return { user, address, role, lease: textAt(data, 'lease') || undefined }
}
