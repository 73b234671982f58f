/**
 * The keyring: the keys of all terms, the secret that storage ids are derived from, and the cluster id. Immutable:
 * a rotation gives a new one. Stored sealed by the root key, in a binary form whose plaintext can be wiped.
 */
import assert from 'node:assert/strict'
import { hkdfSync, type KeyObject } from 'node:crypto'
import { uuid } from '../random.ts'
import { KEY_BYTES, newKey, openEnvelope, sealEnvelope, takeKey, wipe } from './envelope.ts'

const VERSION = 1
const PURPOSE = 'postern keyring'
const ID_BYTES = 36
const TERM_BYTES = 4 + 8 + KEY_BYTES
const HEAD_BYTES = 1 + ID_BYTES + KEY_BYTES

interface Term {
  readonly key: KeyObject
  /** Milliseconds since the Unix epoch. */
  readonly installedAt: number
}

export class Keyring {
  readonly clusterId: string
  readonly currentTerm: number
  readonly #secret: KeyObject
  readonly #terms: ReadonlyMap<number, Term>

  private constructor(clusterId: string, secret: KeyObject, terms: ReadonlyMap<number, Term>) {
    this.clusterId = clusterId
    this.#secret = secret
    this.#terms = terms
    this.currentTerm = Math.max(...terms.keys())
  }

  /** The first keyring of a new cluster, with term 1. */
  static create(now: number): Keyring {
    return new Keyring(uuid(), newKey(), new Map([[1, { key: newKey(), installedAt: now }]]))
  }

  /** Opens a stored keyring; undefined when it is not sealed by this root key. */
  static open(sealed: Uint8Array, rootKey: KeyObject): Keyring | undefined {
    const plaintext = openEnvelope(rootKey, sealed, PURPOSE)
    if (!plaintext) return undefined
    try {
      return Keyring.#parse(plaintext)
    } finally {
      wipe(plaintext)
    }
  }

  /** The form to store. */
  seal(rootKey: KeyObject): Buffer {
    const plaintext = this.#encode()
    try {
      return sealEnvelope(rootKey, plaintext, PURPOSE)
    } finally {
      wipe(plaintext)
    }
  }

  /** This keyring with one more term, which new values are sealed under. */
  withNewTerm(now: number): Keyring {
    const terms = new Map(this.#terms)
    terms.set(this.currentTerm + 1, { key: newKey(), installedAt: now })
    return new Keyring(this.clusterId, this.#secret, terms)
  }

  has(term: number): boolean {
    return this.#terms.has(term)
  }

  installedAt(term: number): number | undefined {
    return this.#terms.get(term)?.installedAt
  }

  /** The key for values of this term with this salt; undefined for an unknown term. */
  valueKey(term: number, salt: Uint8Array): KeyObject | undefined {
    const known = this.#terms.get(term)
    return known && expand(known.key, salt, 'postern value')
  }

  /** A key for one purpose, the same on every node and after every rotation and rekey. */
  deriveKey(label: string): KeyObject {
    return expand(this.#secret, Buffer.alloc(0), `postern ${label}`)
  }

  #encode(): Buffer {
    const bytes = Buffer.alloc(HEAD_BYTES + this.#terms.size * TERM_BYTES)
    bytes[0] = VERSION
    bytes.write(this.clusterId, 1, 'latin1')
    writeKey(bytes, this.#secret, 1 + ID_BYTES)
    let offset = HEAD_BYTES
    for (const [term, { key, installedAt }] of this.#terms) {
      bytes.writeUInt32BE(term, offset)
      bytes.writeBigUInt64BE(BigInt(installedAt), offset + 4)
      writeKey(bytes, key, offset + 12)
      offset += TERM_BYTES
    }
    return bytes
  }

  static #parse(bytes: Buffer): Keyring {
    const rest = bytes.length - HEAD_BYTES
    // The bytes are authentic: another form is a newer Postern's, or a fault of ours.
    assert(
      bytes[0] === VERSION && rest >= TERM_BYTES && rest % TERM_BYTES === 0,
      'internal error: the keyring has an unknown form',
    )
    const terms = new Map<number, Term>()
    for (let offset = HEAD_BYTES; offset < bytes.length; offset += TERM_BYTES) {
      terms.set(bytes.readUInt32BE(offset), {
        key: readKey(bytes, offset + 12),
        installedAt: Number(bytes.readBigUInt64BE(offset + 4)),
      })
    }
    const clusterId = bytes.toString('latin1', 1, 1 + ID_BYTES)
    return new Keyring(clusterId, readKey(bytes, 1 + ID_BYTES), terms)
  }
}

function expand(key: KeyObject, salt: Uint8Array, info: string): KeyObject {
  return takeKey(new Uint8Array(hkdfSync('sha256', key, salt, info, KEY_BYTES)))
}

function writeKey(target: Buffer, key: KeyObject, offset: number): void {
  const bytes = key.export()
  bytes.copy(target, offset)
  wipe(bytes)
}

function readKey(source: Buffer, offset: number): KeyObject {
  return takeKey(source.subarray(offset, offset + KEY_BYTES))
}
