/** The host's own certificates: one beside each key, renewed when two thirds of its life are over. */
import { textAt } from '../../client/json.ts'
import { decodeBase64 } from '../../ssh/base64.ts'
import { parseCertificate } from '../../ssh/certificate/certificate.ts'
import { isSameKey } from '../../ssh/key/public-key.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Server } from '../server.ts'
import type { HostKey } from '../signed-request.ts'
import type { HostState } from '../state.ts'
import { readIfThere } from './bundle.ts'

export interface RenewedCertificates {
  /** Files for HostCertificate. */
  readonly files: readonly string[]
  /** sshd has to read them anew. */
  readonly haveChanged: boolean
}

const NONE: RenewedCertificates = { files: [], haveChanged: false }

/** The certificates that the host has after this; those that are good still are left as they are. */
export async function renewCertificates(
  server: Server,
  state: HostState,
  keys: readonly HostKey[],
  options: { readonly isOffered: boolean; readonly now: number },
): Promise<RenewedCertificates> {
  const [first] = keys
  if (!options.isOffered || !first) return NONE
  const signer = { key: first, clusterId: state.clusterId, hostId: state.hostId }
  const files: string[] = []
  let haveChanged = false
  for (const key of keys) {
    const file = `${key.file}-cert.pub`
    if (!isGood(readIfThere(file), key, options.now)) {
      const data = await server.ask(signer, 'POST', 'host/certificate', {
        public_key: key.publicLine,
      })
      const line = (textAt(data, 'signed_key') ?? '').trim()
      if (!isGood(line, key, options.now))
        throw new Error('the server sent no good host certificate')
      writeFileAtomically(file, `${line}\n`, 0o644)
      haveChanged = true
    }
    files.push(file)
  }
  return { files, haveChanged }
}

/** A certificate of this key with more than a third of its life before it. */
function isGood(line: string | undefined, key: HostKey, now: number): boolean {
  if (!line) return false
  try {
    const certificate = parseCertificate(decodeBase64(line.split(' ')[1] ?? ''))
    const { type, subject, validAfter, validBefore } = certificate
    const renewAt = Number(validBefore) - Number(validBefore - validAfter) / 3
    return type === 'host' && isSameKey(subject, key.publicKey) && now / 1000 < renewAt
  } catch {
    return false
  }
}
