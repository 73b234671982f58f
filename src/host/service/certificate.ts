/** The host's own certificates: one beside each key, renewed when two thirds of its life are over. */
import { textAt } from '../../client/json.ts'
import { SshFormatError } from '../../errors.ts'
import { decodeBase64 } from '../../ssh/base64.ts'
import { parseCertificate } from '../../ssh/certificate/certificate.ts'
import { isSameKey } from '../../ssh/key/public-key.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Server } from '../enrolment/server.ts'
import type { HostKey } from '../enrolment/signed-request.ts'
import type { HostState } from '../enrolment/state.ts'
import { readIfThere } from './bundle.ts'
import { beforeChange } from './drop-in.ts'

interface RenewedCertificates {
  /** Files for HostCertificate. */
  readonly files: readonly string[]
  readonly renewed: number
  /** Why some could not be renewed. */
  readonly failure?: Error
}

/** The certificates that the host has after this; those with more than a third of their life before them stay as they are. */
export async function renewCertificates(
  server: Server,
  state: HostState,
  keys: readonly HostKey[],
  options: { readonly isOffered: boolean; readonly now: number },
): Promise<RenewedCertificates> {
  const [first] = keys
  if (!options.isOffered || !first) return { files: [], renewed: 0 }
  const signer = { key: first, clusterId: state.clusterId, hostId: state.hostId }
  const files: string[] = []
  let renewed = 0
  let failure: Error | undefined
  for (const key of keys) {
    const file = `${key.file}-cert.pub`
    const left = lifeLeft(readIfThere(file), key, options.now)
    if (left > 0) files.push(file)
    if (left > 1 / 3) continue
    try {
      const data = await server.ask(signer, 'POST', 'host/certificate', {
        public_key: key.publicLine,
      })
      const line = (textAt(data, 'signed_key') ?? '').trim()
      if (lifeLeft(line, key, options.now) <= 1 / 3) {
        throw new Error('the server sent no good host certificate')
      }
      beforeChange()
      writeFileAtomically(file, `${line}\n`, 0o644)
      renewed++
      if (left <= 0) files.push(file)
    } catch (error) {
      failure = error as Error
    }
  }
  return { files, renewed, ...(failure && { failure }) }
}

/** The part of its life that a certificate of this key has before it; 0 for one that is over, or for none. */
function lifeLeft(line: string | undefined, key: HostKey, now: number): number {
  if (!line) return 0
  try {
    const certificate = parseCertificate(decodeBase64(line.split(' ')[1] ?? ''))
    const { type, subject, principals, validAfter, validBefore } = certificate
    if (type !== 'host' || !isSameKey(subject, key.publicKey) || principals.length === 0) return 0
    return (Number(validBefore) - now / 1000) / Number(validBefore - validAfter)
  } catch (error) {
    if (error instanceof SshFormatError) return 0
    throw error
  }
}
