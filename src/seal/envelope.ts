/**
 * AES-256-GCM for the two small things above the keyring: the root key (under the seal key) and the keyring (under
 * the root key). Form: version byte, 12 random bytes, ciphertext, tag. Stored values have a form of their own (barrier.ts).
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { secretBytes } from '../random.ts'

/** Not the version byte of a stored value, so that neither can be taken for the other. */
const VERSION = 0x81
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Length of every symmetric key in the hierarchy. */
export const KEY_BYTES = 32

/** Overwrites secret bytes that are no longer needed. */
export function wipe(bytes: Uint8Array): void {
  bytes.fill(0)
}

/** Makes a key object of these bytes and wipes them. */
export function takeKey(bytes: Uint8Array): KeyObject {
  const key = createSecretKey(bytes)
  wipe(bytes)
  return key
}

/** A new random key. */
export function newKey(): KeyObject {
  return takeKey(secretBytes(KEY_BYTES))
}

/** Seals `plaintext`; `purpose` is authenticated with it, so that no envelope opens as another kind. */
export function sealEnvelope(key: KeyObject, plaintext: Uint8Array, purpose: string): Buffer {
  const nonce = secretBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(purpose))
  const sealed = cipher.update(plaintext)
  cipher.final()
  return Buffer.concat([Buffer.of(VERSION), nonce, sealed, cipher.getAuthTag()])
}

/** The plaintext, in a buffer of its own; undefined when key, purpose or bytes are not those of the sealing. */
export function openEnvelope(
  key: KeyObject,
  envelope: Uint8Array,
  purpose: string,
): Buffer | undefined {
  const head = 1 + NONCE_BYTES
  if (envelope.length < head + TAG_BYTES || envelope[0] !== VERSION) return undefined
  const end = envelope.length - TAG_BYTES
  const nonce = envelope.subarray(1, head)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(purpose))
  decipher.setAuthTag(envelope.subarray(end))
  const plaintext = decipher.update(envelope.subarray(head, end))
  try {
    decipher.final()
  } catch {
    wipe(plaintext)
    return undefined
  }
  return plaintext
}
