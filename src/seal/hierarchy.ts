/**
 * The keys between seal and values: the seal key opens the root key, the root key opens the keyring, the keyring's
 * terms seal values. Holds the root key while unsealed, rotates, and follows what other nodes did (protocols 1.8).
 */
import type { KeyObject } from 'node:crypto'
import { PosternError } from '../errors.ts'
import type { CommitResult, Condition, Entry, Store, Write } from '../storage/store.ts'
import { type Barrier, generationWrite } from './barrier.ts'
import { newKey, openEnvelope, sealEnvelope, takeKey, wipe } from './envelope.ts'
import { Keyring } from './keyring.ts'
import {
  encodeSealConfig,
  KEYRING_KEY,
  ROOT_KEY,
  ROOT_KEY_BY_TERM,
  type SealConfig,
} from './seal-config.ts'

const ROOT_KEY_PURPOSE = 'postern root key'

/** Another node may rotate at the same time: each try starts from what it stored. */
const TRIES = 5

/** Proof that a seal key is right, as of the stored root key that it opened. */
export interface SealKeyProof {
  readonly rootKeyVersion: number
}

export class Hierarchy {
  readonly #store: Store
  readonly #barrier: Barrier
  readonly #onObsolete: () => void
  #rootKey: KeyObject | undefined
  #reloading: Promise<void> | undefined

  /** `onObsolete` is called when the keys were found useless, and calls `drop`. */
  constructor(store: Store, barrier: Barrier, onObsolete: () => void) {
    this.#store = store
    this.#barrier = barrier
    this.#onObsolete = onObsolete
  }

  /** The writes that a new cluster begins with, and its keyring. */
  static create(sealKey: KeyObject, now: number): { keyring: Keyring; writes: Write[] } {
    const rootKey = newKey()
    const keyring = Keyring.create(now)
    const writes = [
      { key: ROOT_KEY, value: sealRootKey(sealKey, rootKey) },
      { key: KEYRING_KEY, value: keyring.seal(rootKey) },
      generationWrite(),
    ]
    return { keyring, writes }
  }

  /** Opens the barrier; false for a wrong seal key. */
  async open(sealKey: KeyObject): Promise<boolean> {
    const [sealedRoot, sealedKeyring] = await this.#store.get([ROOT_KEY, KEYRING_KEY])
    const rootKey = sealedRoot && openRootKey(sealKey, sealedRoot)
    if (!rootKey) return false
    const keyring = sealedKeyring && Keyring.open(sealedKeyring.value, rootKey)
    if (!keyring) throw damaged('the root key does not open the keyring')
    this.#rootKey = rootKey
    this.#barrier.open(keyring)
    return true
  }

  /** Drops every key. */
  drop(): void {
    this.#barrier.seal()
    this.#rootKey = undefined
  }

  /** Tells whether this is the seal key; undefined when it is not. */
  async prove(sealKey: KeyObject): Promise<SealKeyProof | undefined> {
    const [sealedRoot] = await this.#store.get([ROOT_KEY])
    if (!sealedRoot || !openRootKey(sealKey, sealedRoot)) return undefined
    return { rootKeyVersion: sealedRoot.version }
  }

  /** Installs a new term. Values sealed from now on, by this node, use it. */
  async rotate(now: number): Promise<void> {
    await this.#changeKeyring(async (keyring, rootKey, entry) => {
      const next = keyring.withNewTerm(now)
      const writes = [{ key: KEYRING_KEY, value: next.seal(rootKey) }, generationWrite()]
      const result = await this.#store.commit(writes, [atVersion(entry)])
      // Sealed meanwhile: the new term is stored, and the keys stay dropped.
      if (result.committed && this.#rootKey === rootKey) this.#barrier.open(next)
      return result
    })
  }

  /**
   * Puts a new root key under a new seal key, if the stored one is still what `proof` was made of; false if not.
   * Shares of the old seal key are worth nothing afterwards.
   */
  async replaceSealKey(
    sealKey: KeyObject,
    config: SealConfig,
    proof: SealKeyProof,
  ): Promise<boolean> {
    const rootKey = newKey()
    const proven: Condition = { key: ROOT_KEY, is: proof.rootKeyVersion }
    const result = await this.#changeKeyring(async (keyring, oldRootKey, entry) => {
      const writes = [
        ...this.#rootKeyUnderTerm(rootKey),
        { key: KEYRING_KEY, value: keyring.seal(rootKey) },
        { key: ROOT_KEY, value: sealRootKey(sealKey, rootKey) },
        encodeSealConfig(config),
      ]
      const result = await this.#store.commit(writes, [proven, atVersion(entry)])
      if (result.committed && this.#rootKey === oldRootKey) this.#rootKey = rootKey
      return !result.committed && result.failed.key === ROOT_KEY ? undefined : result
    })
    return result !== undefined
  }

  /**
   * Loads the stored keyring, for a value of an unknown term. A node that missed a rekey finds the new root key under a
   * term that it knows; where it knows none of them (rekey, rotate, rekey while it was idle) its keys are obsolete and
   * it drops them.
   */
  reload(): Promise<void> {
    this.#reloading ??= this.#load()
      .then(() => undefined)
      .finally(() => {
        this.#reloading = undefined
      })
    return this.#reloading
  }

  /** Runs `change` on the stored keyring until its commit meets no other node's. */
  async #changeKeyring(
    change: (
      keyring: Keyring,
      rootKey: KeyObject,
      entry: Entry,
    ) => Promise<CommitResult | undefined>,
  ): Promise<CommitResult | undefined> {
    for (let tries = 0; tries < TRIES; tries++) {
      const entry = await this.#load()
      const result = await change(this.#barrier.keyring, this.#root, entry)
      if (!result || result.committed) return result
    }
    throw new PosternError('internal', undefined, {
      cause: new Error('other nodes changed the keyring at every try'),
    })
  }

  get #root(): KeyObject {
    if (!this.#rootKey) throw new PosternError('sealed')
    return this.#rootKey
  }

  /** Takes over the stored keyring where it is not the one in use, and gives its entry. */
  async #load(): Promise<Entry> {
    const before = this.#root
    const [entry, byTerm] = await this.#store.get([KEYRING_KEY, ROOT_KEY_BY_TERM])
    if (!entry) throw damaged('there is no keyring')
    const rootKey = this.#root
    // Unsealed again, or rekeyed, while the store was read: the bytes are of another time.
    if (rootKey !== before) return this.#load()
    const keyring = Keyring.open(entry.value, rootKey)
    if (keyring) this.#use(keyring)
    else this.#useRootKeyUnderTerm(entry, byTerm)
    return entry
  }

  #use(keyring: Keyring): void {
    // A load that began before a rotation of our own may end after it, with the older keyring.
    if (keyring.currentTerm > this.#barrier.keyring.currentTerm) this.#barrier.open(keyring)
  }

  #useRootKeyUnderTerm(entry: Entry, byTerm: Entry | undefined): void {
    const bytes = byTerm && this.#barrier.tryOpen(byTerm)
    const rootKey = bytes && takeKey(bytes)
    const keyring = rootKey && Keyring.open(entry.value, rootKey)
    if (!keyring) {
      this.#onObsolete()
      throw new PosternError('sealed', undefined, {
        cause: new Error('the root key was replaced and its successor is not known here'),
      })
    }
    this.#rootKey = rootKey
    this.#use(keyring)
  }

  #rootKeyUnderTerm(rootKey: KeyObject): Write[] {
    const bytes = rootKey.export()
    const writes = this.#barrier.sealWrites([{ key: ROOT_KEY_BY_TERM, value: bytes }])
    wipe(bytes)
    return writes
  }
}

function sealRootKey(sealKey: KeyObject, rootKey: KeyObject): Buffer {
  const bytes = rootKey.export()
  const sealed = sealEnvelope(sealKey, bytes, ROOT_KEY_PURPOSE)
  wipe(bytes)
  return sealed
}

function openRootKey(sealKey: KeyObject, entry: Entry): KeyObject | undefined {
  const bytes = openEnvelope(sealKey, entry.value, ROOT_KEY_PURPOSE)
  return bytes && takeKey(bytes)
}

function atVersion({ key, version }: Entry): Condition {
  return { key, is: version }
}

function damaged(what: string): PosternError {
  return new PosternError('internal', undefined, { cause: new Error(what) })
}
