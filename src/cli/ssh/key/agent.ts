/** Client of the user's ssh-agent (draft-ietf-sshm-ssh-agent): adds a key with its certificate, and removes it. */
import type { KeyObject } from 'node:crypto'
import { createConnection } from 'node:net'
import type { Certificate } from '../../../ssh/certificate/certificate.ts'
import { publicKeyOf } from '../../../ssh/key/public-key.ts'
import { SshReader } from '../../../ssh/reader.ts'
import { SshWriter } from '../../../ssh/writer.ts'

const REMOVE_IDENTITY = 18
const ADD_ID_CONSTRAINED = 25
const CONSTRAIN_LIFETIME = 1
const SUCCESS = 6
const MAX_LIFETIME = 0xffff_ffff
const TIMEOUT_MS = 3000

export interface AgentIdentity {
  /** Ed25519. */
  readonly privateKey: KeyObject
  readonly certificate: Certificate
  readonly comment: string
}

/** Has the agent keep a pair and its certificate until the certificate's end. False when it can't or won't. */
export async function addToAgent(
  socket: string,
  { privateKey, certificate, comment }: AgentIdentity,
  now: number,
): Promise<boolean> {
  const publicKey = publicKeyOf(privateKey)
  const { d } = privateKey.export({ format: 'jwk' })
  if (publicKey.kind !== 'ed25519' || d === undefined) throw new TypeError('not an Ed25519 key')
  const seconds = Number(certificate.validBefore) - Math.floor(now / 1000)
  const name = publicKey.algorithm.certificateName
  const message = new SshWriter(1024).uint8(ADD_ID_CONSTRAINED).string(name)
  message.string(certificate.blob).string(publicKey.point)
  message.string(Buffer.concat([Buffer.from(d, 'base64url'), publicKey.point])).string(comment)
  message.uint8(CONSTRAIN_LIFETIME).uint32(Math.min(Math.max(seconds, 1), MAX_LIFETIME))
  return (await askAgent(socket, message.bytes())) === SUCCESS
}

/** False when the agent did not have it any more. */
export async function removeFromAgent(socket: string, certificate: Certificate): Promise<boolean> {
  const message = new SshWriter().uint8(REMOVE_IDENTITY).string(certificate.blob)
  return (await askAgent(socket, message.bytes())) === SUCCESS
}

/** The type of the agent's answer; undefined when nobody answers in time. */
function askAgent(path: string, message: Uint8Array): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const socket = createConnection({ path })
  let received = Buffer.alloc(0)
  const finish = (answer: number | undefined): void => {
    socket.destroy()
    resolve(answer)
  }
  socket.setTimeout(TIMEOUT_MS, () => finish(undefined))
  socket.on('error', () => finish(undefined))
  socket.on('close', () => finish(undefined))
  socket.on('data', (piece) => {
    received = Buffer.concat([received, piece])
    // The length, and the type that follows it.
    if (received.length >= 5) finish(new SshReader(received.subarray(4)).uint8())
  })
  socket.write(new SshWriter(message.length + 4).string(message).bytes())
  return promise
}
