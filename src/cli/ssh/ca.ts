/** Certificate mode: a fresh pair that only the agent or a private folder knows, or an existing key beside its certificate. */
import { randomBytes } from 'node:crypto'
import type { Certificate } from '../../ssh/certificate/certificate.ts'
import { encodeAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { encodePrivateKey, generateKeyPair, type PrivateKey } from '../../ssh/key/private-key.ts'
import type { Session } from '../session.ts'
import type { Attempt } from './connect.ts'
import { addToAgent, removeFromAgent } from './key/agent.ts'
import { requestCertificate } from './key/certificate.ts'
import { namedKeyFiles } from './key/key-files.ts'
import { quoteForSsh } from './key/private-folder.ts'

/** The options of ssh that log in with a new certificate. */
export async function certificateOptions(session: Session, attempt: Attempt): Promise<string[]> {
  const existing = namedKeyFiles(session)
  if (existing) {
    const { line } = await requestCertificate(session, { ...attempt.request, ...existing })
    return identity(existing.privatePath, attempt.folder().write('id-cert.pub', line))
  }
  const pair = await generateKeyPair('ed25519', 0)
  const { publicKey } = pair
  const { certificate, line } = await requestCertificate(session, { ...attempt.request, publicKey })
  const folder = attempt.folder()
  const certificateFile = folder.write('id-cert.pub', line)
  // As an identity file, ssh finds it in the agent; as a certificate file it would want the private half beside it.
  if (await lendToAgent(attempt, pair, certificate)) return identity(certificateFile)
  folder.write('id.pub', `${encodeAuthorizedKey(publicKey.blob)}\n`)
  const privateFile = folder.write('id', encodePrivateKey(pair.keyObject))
  // The user's own setting would put the pair into the agent, where nobody removes it.
  return ['-o', 'AddKeysToAgent=no', ...identity(privateFile, certificateFile)]
}

/** The agent has it until ssh ends. False when there is no agent, or it refuses. */
async function lendToAgent(
  { target, resources }: Attempt,
  { keyObject }: PrivateKey,
  certificate: Certificate,
): Promise<boolean> {
  const socket = target.agentSocket
  if (socket === undefined) return false
  // The removal is promised before the identity is sent: a signal may come in between.
  const { promise: isAdded, resolve } = Promise.withResolvers<boolean>()
  resources.defer(async () => {
    if (await isAdded) await removeFromAgent(socket, certificate)
  })
  const comment = `postern ${target.user}@${target.host} ${randomBytes(4).toString('hex')}`
  resolve(addToAgent(socket, { privateKey: keyObject, certificate, comment }, Date.now()))
  return await isAdded
}

function identity(key: string, certificate?: string): string[] {
  const settings = ['IdentitiesOnly=yes', `IdentityFile=${quoteForSsh(key)}`]
  if (certificate !== undefined) settings.push(`CertificateFile=${quoteForSsh(certificate)}`)
  return settings.flatMap((setting) => ['-o', setting])
}
