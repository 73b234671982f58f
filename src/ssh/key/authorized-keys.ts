/**
 * The one-line text of keys and certificates: `type base64 comment` (sshd(8), AUTHORIZED_KEYS FILE
 * FORMAT, without options), or the base64 alone as the Vault API allows.
 */
import { SshFormatError } from '../../errors.ts'
import { decodeBase64 } from '../base64.ts'
import { SshReader } from '../reader.ts'
import { keyAlgorithm } from './algorithm.ts'
import { type PublicKey, parsePublicKey } from './public-key.ts'

const MAX_LINE_LENGTH = 65536

/**
 * The key of a whole line or of its base64 alone: where there is a blank, the second word is the base64.
 * A known key type as first word has to be the key's own. Throws SshFormatError.
 */
export function parseAuthorizedKey(line: string): PublicKey {
  if (line.length > MAX_LINE_LENGTH) throw new SshFormatError('the public key is too long')
  const [first = '', second] = line.replace(/^[ \t]+/, '').split(/[ \t]+/, 2)
  // A blank that only ends the text makes no second word.
  const key = parsePublicKey(decodeBase64(second?.trim() ? second : first))
  if (second && keyAlgorithm(first) && first !== key.algorithm.name) {
    throw new SshFormatError(`the line says ${first}, but its key is ${key.algorithm.name}`)
  }
  return key
}

/** `type base64` of a key or certificate blob, without comment and line end. */
export function encodeAuthorizedKey(blob: Buffer): string {
  const name = new SshReader(blob).text()
  return `${name} ${blob.toString('base64')}`
}
