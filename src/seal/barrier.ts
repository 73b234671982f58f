/**
 * The barrier: a store whose values are sealed with AES-256-GCM under the keyring (protocols 1.7) and whose commits
 * to `cfg/` renew the generation (protocols 1.3). Form of a value: version byte, term (u32), salt (16), nonce (12),
 * ciphertext, tag (16); associated data is cluster id and key, so that a value moved to another key does not open.
 *
 * Not sealed: keys under `meta/`, which are needed before unsealing and hold no secret; and empty values outside
 * `cfg/`, which are index entries: they say nothing beyond their key, and keys are not authenticated either.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { PosternError } from '../errors.ts'
import { KeyedHash } from '../keyed-hash.ts'
import { secretBytes } from '../random.ts'
import { CONFIG_PREFIX, GENERATION_KEY, SEAL_KEY } from '../storage/path.ts'
import type { CommitResult, Condition, Entry, Store, Write } from '../storage/store.ts'
import { ENCRYPTIONS_KEY } from './encryptions.ts'
import type { Keyring } from './keyring.ts'
import { OpenedValues } from './opened-values.ts'
import { KEYRING_KEY, ROOT_KEY, ROOT_KEY_BY_TERM, SEAL_CONFIG_KEY } from './seal-config.ts'

const PLAIN_PREFIX = 'meta/'
const VERSION = 1
const SALT_OFFSET = 5
const NONCE_OFFSET = 21
const NONCE_BYTES = 12
const HEAD_BYTES = NONCE_OFFSET + NONCE_BYTES
const TAG_BYTES = 16
const MAX_VALUE_KEYS = 1024

/** Random nonces under one key stay safely apart up to 2^32 of them; half of that leaves room. */
const SEALS_PER_SALT = 2 ** 31

/** Written by the seal itself, never through the barrier. */
const RESERVED = new Set([
  GENERATION_KEY,
  SEAL_KEY,
  SEAL_CONFIG_KEY,
  ROOT_KEY,
  KEYRING_KEY,
  ROOT_KEY_BY_TERM,
  ENCRYPTIONS_KEY,
])

export interface BarrierOptions {
  /** Values sealed before a new salt is taken. */
  readonly sealsPerSalt?: number
  /** Called once for a read that meets an unknown term: loads the keyring again (`open`). */
  readonly reload?: () => Promise<void>
}

/** What is in memory only while unsealed. */
interface OpenState {
  readonly keyring: Keyring
  readonly storageIds: KeyedHash
  /** Keys by the value's bytes from term to salt. */
  readonly valueKeys: Map<string, KeyObject>
  readonly opened: OpenedValues
  /** First bytes of every value sealed now: version, term, salt. */
  head: Buffer
  sealingKey: KeyObject
  sealsLeft: number
}

export class Barrier implements Store {
  readonly #store: Store
  readonly #sealsPerSalt: number
  readonly #reload: () => Promise<void>
  #state: OpenState | undefined
  #encryptions = 0

  constructor(store: Store, options: BarrierOptions = {}) {
    this.#store = store
    this.#sealsPerSalt = options.sealsPerSalt ?? SEALS_PER_SALT
    this.#reload = options.reload ?? (() => Promise.resolve())
  }

  get isOpen(): boolean {
    return this.#state !== undefined
  }

  /** Throws `sealed` while sealed. */
  get keyring(): Keyring {
    return this.#opened().keyring
  }

  /** Begins to work with this keyring, under a new salt. */
  open(keyring: Keyring): void {
    this.#state?.storageIds.clear()
    this.#state = {
      keyring,
      storageIds: keyedHashOf(keyring.deriveKey('storage id')),
      valueKeys: new Map(),
      opened: new OpenedValues(),
      ...this.#newSealingKey(keyring),
    }
  }

  /** Drops the keys and every opened value. Reads under way fail with `sealed`. */
  seal(): void {
    this.#state?.opened.clear()
    this.#state?.storageIds.clear()
    this.#state = undefined
  }

  /** Opened entries: their values are shared with later readers and must not be changed. */
  async get(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    this.#opened()
    const entries = await this.#store.get(keys)
    if (entries.some((entry) => entry && this.#hasUnknownTerm(entry))) await this.#reload()
    return entries.map((entry) => entry && this.#openEntry(entry))
  }

  async list(prefix: string, after: string, limit: number): Promise<readonly string[]> {
    this.#opened()
    const keys = await this.#store.list(prefix, after, limit)
    this.#opened()
    return keys
  }

  async commit(writes: readonly Write[], conditions: readonly Condition[]): Promise<CommitResult> {
    for (const { key } of writes) {
      if (RESERVED.has(key)) throw new RangeError(`internal error: ${key} belongs to the seal`)
    }
    // Without an await in between: commits have to reach the store in the order of their calls.
    return this.#store.commit(this.sealWrites(writes), conditions)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  /** HMAC-SHA256 in hex, under a key that never leaves the barrier: storage ids of tokens and one-time passwords. */
  hmac(secret: string): string {
    return this.#opened().storageIds.hex(secret)
  }

  /** A key for one purpose, the same on every node and after every rotation. */
  deriveKey(label: string): KeyObject {
    return this.#opened().keyring.deriveKey(label)
  }

  /** The writes as the raw store takes them: values sealed, and a new generation when one is under `cfg/`. */
  sealWrites(writes: readonly Write[]): Write[] {
    const state = this.#opened()
    // The nonces of one commit in one call: each call costs more than a cipher.
    const nonces = secretBytes(NONCE_BYTES * writes.length)
    const sealed = writes.map(({ key, value }, at) => {
      state.opened.delete(key)
      if (value === undefined) return { key }
      const nonce = nonces.subarray(at * NONCE_BYTES, (at + 1) * NONCE_BYTES)
      return { key, value: this.#sealValue(key, value, nonce) }
    })
    if (writes.some(({ key }) => key.startsWith(CONFIG_PREFIX))) sealed.push(generationWrite())
    return sealed
  }

  /** Opens a value that the seal itself stores, without remembering it; undefined when it does not open here. */
  tryOpen(entry: Entry): Uint8Array | undefined {
    try {
      return openValue(this.#opened(), entry)
    } catch {
      return undefined
    }
  }

  /** Values sealed under the current term since `takeEncryptions`. */
  get encryptions(): number {
    return this.#encryptions
  }

  /** The same count, which begins again at 0. */
  takeEncryptions(): number {
    const count = this.#encryptions
    this.#encryptions = 0
    return count
  }

  #opened(): OpenState {
    if (!this.#state) throw new PosternError('sealed')
    return this.#state
  }

  #newSealingKey(keyring: Keyring): Pick<OpenState, 'head' | 'sealingKey' | 'sealsLeft'> {
    const salt = secretBytes(NONCE_OFFSET - SALT_OFFSET)
    const head = Buffer.alloc(NONCE_OFFSET)
    head[0] = VERSION
    head.writeUInt32BE(keyring.currentTerm, 1)
    head.set(salt, SALT_OFFSET)
    const sealingKey = keyring.valueKey(keyring.currentTerm, salt) as KeyObject
    return { head, sealingKey, sealsLeft: this.#sealsPerSalt }
  }

  #sealValue(key: string, value: Uint8Array, nonce: Uint8Array): Uint8Array {
    if (!isSealed(key, value)) return value
    const state = this.#opened()
    if (state.sealsLeft === 0) Object.assign(state, this.#newSealingKey(state.keyring))
    state.sealsLeft -= 1
    this.#encryptions += 1
    // Not from the shared pool: a store may hand the bytes to a thread, which copies all memory behind them.
    const sealed = Buffer.alloc(HEAD_BYTES + value.length + TAG_BYTES)
    sealed.set(state.head)
    sealed.set(nonce, NONCE_OFFSET)
    const options = { authTagLength: TAG_BYTES }
    const cipher = createCipheriv('aes-256-gcm', state.sealingKey, nonce, options)
    cipher.setAAD(associatedData(state.keyring, key))
    sealed.set(cipher.update(value), HEAD_BYTES)
    cipher.final()
    sealed.set(cipher.getAuthTag(), HEAD_BYTES + value.length)
    return sealed
  }

  #hasUnknownTerm({ key, value }: Entry): boolean {
    return isSealed(key, value) && isWellFormed(value) && !this.#opened().keyring.has(termOf(value))
  }

  #openEntry(entry: Entry): Entry {
    const { key, value, version } = entry
    const state = this.#opened()
    if (!isSealed(key, value)) return entry
    const known = state.opened.get(key, version)
    if (known) return known
    const opened = { key, value: openValue(state, entry), version }
    state.opened.set(opened)
    return opened
  }
}

/** A new generation: every node's decoded configuration is out of date. */
export function generationWrite(): Write {
  return { key: GENERATION_KEY, value: secretBytes(16) }
}

function isSealed(key: string, value: Uint8Array): boolean {
  if (key.startsWith(PLAIN_PREFIX)) return false
  return value.length > 0 || key.startsWith(CONFIG_PREFIX)
}

function isWellFormed(value: Uint8Array): boolean {
  return value[0] === VERSION && value.length >= HEAD_BYTES + TAG_BYTES
}

function termOf(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset).getUint32(1)
}

function associatedData(keyring: Keyring, key: string): Buffer {
  // The cluster id has a fixed length: no other pair gives the same bytes.
  return Buffer.from(keyring.clusterId + key)
}

function openValue(state: OpenState, { key, value }: Entry): Uint8Array {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const valueKey = isWellFormed(bytes) ? valueKeyOf(state, bytes) : undefined
  if (!valueKey) throw unopened(key, 'unknown form or term')
  const end = bytes.length - TAG_BYTES
  const nonce = bytes.subarray(NONCE_OFFSET, HEAD_BYTES)
  const options = { authTagLength: TAG_BYTES }
  const decipher = createDecipheriv('aes-256-gcm', valueKey, nonce, options)
  decipher.setAAD(associatedData(state.keyring, key))
  decipher.setAuthTag(bytes.subarray(end))
  const opened = decipher.update(bytes.subarray(HEAD_BYTES, end))
  try {
    decipher.final()
  } catch (error) {
    throw unopened(key, error)
  }
  return opened
}

function valueKeyOf(state: OpenState, value: Buffer): KeyObject | undefined {
  const name = value.toString('latin1', 1, NONCE_OFFSET)
  const known = state.valueKeys.get(name)
  if (known) return known
  const salt = value.subarray(SALT_OFFSET, NONCE_OFFSET)
  const valueKey = state.keyring.valueKey(termOf(value), salt)
  if (!valueKey) return undefined
  if (state.valueKeys.size >= MAX_VALUE_KEYS) {
    const [oldest] = state.valueKeys.keys()
    state.valueKeys.delete(oldest as string)
  }
  state.valueKeys.set(name, valueKey)
  return valueKey
}

function unopened(key: string, cause: unknown): PosternError {
  return new PosternError('internal', undefined, {
    cause: new Error(`the value at ${key} does not open`, { cause }),
  })
}

function keyedHashOf(key: KeyObject): KeyedHash {
  const bytes = key.export()
  try {
    return new KeyedHash(bytes)
  } finally {
    bytes.fill(0)
  }
}
