/**
 * The seal's state: sealed or unsealed, key shares under way, the mark of an operator's seal (Vault API, sys/unseal
 * and sys/seal; protocols 1.8). A static seal is one of a single share, the static key: it unseals by itself at start
 * unless an operator sealed the server; then the operator gives that key to `sys/unseal`, in hex or base64.
 */
import type { KeyObject } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { badRequest, PosternError } from '../errors.ts'
import { SEAL_KEY } from '../storage/path.ts'
import type { Entry, Store } from '../storage/store.ts'
import { Barrier } from './barrier.ts'
import { addEncryptions, readEncryptions } from './encryptions.ts'
import { KEY_BYTES, takeKey, wipe } from './envelope.ts'
import { Hierarchy, type SealKeyProof } from './hierarchy.ts'
import {
  type FirstRecords,
  type InitRequest,
  initialize,
  loadStaticKey,
  type SealSettings,
} from './init.ts'
import {
  checkSameSeal,
  encodeSealMark,
  newSealMark,
  operatorSealWrite,
  parseSealConfig,
  parseSealMark,
  SEAL_CONFIG_KEY,
  type SealConfig,
  type SealMark,
  type SealType,
} from './seal-config.ts'
import { Serial } from './serial.ts'
import { Quorum } from './share/quorum.ts'
import { parseShare } from './share/shamir.ts'

const WRONG_KEY =
  'unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: cipher: message authentication failed'

/** Operators may seal from several nodes at once: the unseal's mark has to follow the last of them. */
const MARK_TRIES = 5

export interface SealOptions {
  readonly seal: SealSettings
  readonly clock: Clock
  /** Values sealed before a new salt is taken (protocols 1.7). */
  readonly sealsPerSalt?: number
}

/** What `sys/seal-status` shows; shares and threshold are 0 before init. */
export interface SealStatus {
  readonly type: SealType
  readonly initialized: boolean
  readonly sealed: boolean
  readonly threshold: number
  readonly shares: number
  readonly progress: number
  /** Empty unless 0 < progress. */
  readonly nonce: string
  /** Only while unsealed. */
  readonly clusterId?: string
}

export interface KeyStatus {
  readonly term: number
  /** Milliseconds since the Unix epoch. */
  readonly installTime: number
  readonly encryptions: number
}

export class Seal {
  /** The store that everything but the seal uses. */
  readonly barrier: Barrier
  readonly #store: Store
  readonly #settings: SealSettings
  readonly #clock: Clock
  readonly #hierarchy: Hierarchy
  readonly #serial = new Serial()
  readonly #sealedListeners: (() => void)[] = []
  readonly #unsealedListeners: (() => void | Promise<void>)[] = []
  #isInitialized = false
  #quorum: Quorum | undefined
  /** Epoch of the mark that this process unsealed under; undefined while sealed. */
  #epoch: string | undefined
  /** Version of the mark last found good, so that most requests need not parse it. */
  #goodMarkVersion: number | undefined

  constructor(store: Store, options: SealOptions) {
    this.#store = store
    this.#settings = options.seal
    this.#clock = options.clock
    this.barrier = new Barrier(store, {
      reload: () => this.#hierarchy.reload(),
      ...(options.sealsPerSalt === undefined ? {} : { sealsPerSalt: options.sealsPerSalt }),
    })
    this.#hierarchy = new Hierarchy(store, this.barrier, () => this.#drop())
  }

  /** True until an unseal is complete, its listeners included. */
  get isSealed(): boolean {
    return this.#epoch === undefined
  }

  async isInitialized(): Promise<boolean> {
    // Never undone, so asked only until it is true.
    this.#isInitialized ||= (await this.#readConfig()) !== undefined
    return this.#isInitialized
  }

  /** Called when the keys were dropped: to drop every decoded object, KeyObject and HMAC. */
  onSealed(listener: () => void): void {
    this.#sealedListeners.push(listener)
  }

  /** Called when the barrier is open and before requests are let in; a listener that fails leaves the server sealed, and none may call the seal. */
  onUnsealed(listener: () => void | Promise<void>): void {
    this.#unsealedListeners.push(listener)
  }

  async status(): Promise<SealStatus> {
    const config = await this.#readConfig()
    const progress = this.#quorum?.progress ?? 0
    return {
      type: config?.type ?? this.#settings.type,
      initialized: config !== undefined,
      sealed: this.isSealed,
      threshold: config?.threshold ?? 0,
      shares: config?.shares ?? 0,
      progress,
      nonce: progress > 0 ? (this.#quorum as Quorum).nonce : '',
      ...(this.isSealed ? {} : { clusterId: this.barrier.keyring.clusterId }),
    }
  }

  /** Makes a cluster. The server is sealed afterwards, but with a static seal, which has no shares to give. */
  initialize(
    request: InitRequest,
    firstRecords: FirstRecords,
  ): Promise<{ readonly keys: readonly Buffer[] }> {
    return this.#serial.run(async () => {
      const now = this.#clock.now()
      const options = { now, firstRecords }
      const result = await initialize(this.#store, this.#settings, request, options)
      if (this.#settings.type === 'static') await this.#autoUnseal()
      return result
    })
  }

  /** `sys/unseal`: one share, or a reset of those given. 400 with the texts that clients know. */
  unseal(request: { readonly key?: string; readonly reset?: boolean }): Promise<SealStatus> {
    return this.#serial.run(async () => {
      if (request.reset) this.#reset()
      else await this.#provideShare(request.key ?? '')
      return this.status()
    })
  }

  /**
   * To call at every start: refuses a configured seal that is not the store's (`invalid_config`), and with a static seal
   * unseals, unless an operator sealed. True when the server is unsealed.
   */
  autoUnseal(): Promise<boolean> {
    return this.#serial.run(() => this.#autoUnseal())
  }

  /** `sys/seal`: drops the keys at once; the mark then seals the other nodes, and rejects when it can't be stored. */
  seal(): Promise<void> {
    return this.#serial.run(async () => {
      if (this.isSealed) return
      const term = this.barrier.keyring.currentTerm
      const encryptions = this.barrier.takeEncryptions()
      this.#drop()
      await this.#store.commit([operatorSealWrite()], [])
      await addEncryptions(this.#store, term, encryptions)
    })
  }

  /**
   * To call with the entry at SEAL_KEY of every request: throws `sealed` when an operator sealed some node since this
   * one was unsealed, and seals this one too. A missing mark counts as sealed.
   */
  observe(entry: Entry | undefined): void {
    if (this.isSealed) throw new PosternError('sealed')
    if (entry && entry.version === this.#goodMarkVersion) return
    const mark = parseSealMark(entry)
    if (!mark || mark.sealed || mark.epoch !== this.#epoch) {
      this.#drop()
      throw new PosternError('sealed')
    }
    this.#goodMarkVersion = entry?.version
  }

  /** `sys/rotate`: values are sealed under a new term from now on. */
  rotate(): Promise<void> {
    return this.#serial.run(async () => {
      await this.saveEncryptions()
      await this.#hierarchy.rotate(this.#clock.now())
    })
  }

  async keyStatus(): Promise<KeyStatus> {
    const { keyring, encryptions } = this.barrier
    const term = keyring.currentTerm
    const stored = await readEncryptions(this.#store, term)
    const installTime = keyring.installedAt(term) as number
    return { term, installTime, encryptions: stored + encryptions }
  }

  /** Adds this process's count of sealed values to the stored one: also for a clean shutdown. */
  async saveEncryptions(): Promise<void> {
    const term = this.barrier.keyring.currentTerm
    await addEncryptions(this.#store, term, this.barrier.takeEncryptions())
  }

  /** Type, shares and threshold as stored; throws `not_initialized` before init. */
  async config(): Promise<SealConfig> {
    const config = await this.#readConfig()
    if (!config) throw new PosternError('not_initialized')
    return config
  }

  /** Tells whether these bytes (wiped) are the seal key, for operations that key shares allow. */
  async proveSealKey(bytes: Uint8Array | undefined): Promise<SealKeyProof | undefined> {
    const key = sealKeyOf(bytes)
    return key && this.#hierarchy.prove(key)
  }

  /** Replaces seal key and root key; false when the proof is of an earlier seal key. Needs an unsealed server. */
  replaceSealKey(key: KeyObject, config: SealConfig, proof: SealKeyProof): Promise<boolean> {
    return this.#serial.run(() => this.#hierarchy.replaceSealKey(key, config, proof))
  }

  #reset(): void {
    if (!this.isSealed) throw badRequest('vault is unsealed')
    this.#quorum?.wipe()
    this.#quorum = undefined
  }

  async #provideShare(text: string): Promise<void> {
    if (text === '') {
      throw badRequest("'key' must be specified in request body as JSON, or 'reset' set to true")
    }
    const share = parseShare(text)
    if (!this.isSealed) return
    const config = await this.config()
    checkSameSeal(config, this.#settings)
    if (this.#quorum?.required !== config.threshold) {
      this.#reset()
      this.#quorum = new Quorum(config.threshold)
    }
    const quorum = this.#quorum as Quorum
    if (!quorum.add(share)) return
    this.#quorum = undefined
    const key = sealKeyOf(await quorum.combine())
    if (!key || !(await this.#hierarchy.open(key))) throw badRequest(WRONG_KEY)
    await this.#enter(() => this.#markUnsealed())
  }

  async #autoUnseal(): Promise<boolean> {
    const [configEntry, markEntry] = await this.#store.get([SEAL_CONFIG_KEY, SEAL_KEY])
    if (!configEntry) return false
    checkSameSeal(parseSealConfig(configEntry), this.#settings)
    if (!this.isSealed) return true
    const mark = parseSealMark(markEntry)
    if (this.#settings.type !== 'static' || !mark || mark.sealed) return false
    const key = takeKey(loadStaticKey(this.#settings))
    if (!(await this.#hierarchy.open(key))) {
      const { keyId } = this.#settings
      throw new PosternError('invalid_config', `the static key "${keyId}" does not open the store`)
    }
    await this.#enter(() => Promise.resolve(mark))
    return true
  }

  /** Lets requests in when the mark and the listeners are done, and drops the keys again when one of them fails. */
  async #enter(markOf: () => Promise<SealMark>): Promise<void> {
    try {
      const { epoch } = await markOf()
      for (const listener of this.#unsealedListeners) await listener()
      if (!this.barrier.isOpen) throw new PosternError('sealed')
      this.#epoch = epoch
      this.#isInitialized = true
    } catch (error) {
      this.#drop()
      throw error
    }
  }

  async #markUnsealed(): Promise<SealMark> {
    for (let tries = 0; tries < MARK_TRIES; tries++) {
      const [entry] = await this.#store.get([SEAL_KEY])
      const mark = parseSealMark(entry)
      if (mark && !mark.sealed) return mark
      const open = mark ? { ...mark, sealed: false } : newSealMark(false)
      const unchanged = { key: SEAL_KEY, is: entry ? entry.version : ('absent' as const) }
      if ((await this.#store.commit([encodeSealMark(open)], [unchanged])).committed) return open
    }
    throw new PosternError('sealed')
  }

  #drop(): void {
    this.#epoch = undefined
    this.#goodMarkVersion = undefined
    this.#hierarchy.drop()
    for (const listener of this.#sealedListeners) listener()
  }

  async #readConfig(): Promise<SealConfig | undefined> {
    const [entry] = await this.#store.get([SEAL_CONFIG_KEY])
    return entry && parseSealConfig(entry)
  }
}

/** A key of these bytes, which are wiped; undefined when they can't be one. */
function sealKeyOf(bytes: Uint8Array | undefined): KeyObject | undefined {
  if (bytes?.length === KEY_BYTES) return takeKey(bytes)
  if (bytes) wipe(bytes)
  return undefined
}
