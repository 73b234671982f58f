/**
 * `operator rekey`: a quorum of the present key shares gives new ones (Vault API, sys/rekey). Seal key and root key
 * are both replaced, in one commit. Who may start, go on and cancel: share/attempt.ts.
 *
 * With verification the new shares are given out first and the keys replaced only when a quorum of them was given
 * back, so that a lost answer locks nobody out: until then the present shares stay valid.
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { badRequest, PosternError } from '../errors.ts'
import { secretBytes, uuid } from '../random.ts'
import { equalSecrets } from '../redact.ts'
import { KEY_BYTES, wipe } from './envelope.ts'
import type { SealKeyProof } from './hierarchy.ts'
import type { Seal } from './seal.ts'
import { checkShares, type SealConfig, type SharesRequest } from './seal-config.ts'
import { Serial } from './serial.ts'
import { type Attempt, Attempts, type Requester } from './share/attempt.ts'
import { Quorum } from './share/quorum.ts'
import { parseShare, splitKey } from './share/shamir.ts'

export interface RekeyRequest extends SharesRequest {
  /** Wire: `require_verification`. */
  readonly requireVerification?: boolean
  /** Obligatory without sudo. */
  readonly key?: string
}

/** What `sys/rekey/init` and `sys/rekey/update` show; everything but `required` is empty where nothing is started. */
export interface RekeyStatus {
  readonly started: boolean
  readonly nonce: string
  /** Wire: `t` and `n`, of the shares to be made. */
  readonly threshold: number
  readonly shares: number
  readonly progress: number
  /** How many of the present shares it takes. */
  readonly required: number
  readonly requireVerification: boolean
  /** Set when new shares wait to be verified. */
  readonly verificationNonce: string
}

export interface RekeyUpdate extends RekeyStatus {
  readonly complete: boolean
  /** The new shares, once. */
  readonly keys?: readonly Buffer[]
  /**
   * Replaces the keys: to call when the new shares are sure to reach somebody. Until then, and if it is never called, the
   * present shares stay valid. Absent where nothing is to be replaced yet.
   */
  readonly install?: () => Promise<void>
}

/** What `sys/rekey/verify` shows. */
export interface VerificationStatus {
  readonly nonce: string
  readonly started: boolean
  readonly threshold: number
  readonly shares: number
  readonly progress: number
  readonly complete: boolean
}

/** A seal key that is made but not yet in use. */
interface Pending {
  readonly sealKey: KeyObject
  readonly proof: SealKeyProof
  nonce: string
  quorum: Quorum
}

interface Details {
  readonly config: SealConfig
  readonly requireVerification: boolean
  pending?: Pending
}

export class Rekey {
  readonly #seal: Seal
  readonly #attempts: Attempts<Details>
  readonly #serial = new Serial()

  constructor(seal: Seal, clock: Clock) {
    this.#seal = seal
    this.#attempts = new Attempts<Details>('rekey', clock)
    seal.onSealed(() => this.#attempts.dropAll())
  }

  async status(requester: Requester, nonce?: string): Promise<RekeyStatus> {
    const { threshold } = await this.#present()
    return statusOf(this.#attempts.find(requester, nonce), threshold)
  }

  /** Starts an attempt; `nonce` of the result is for the initiator alone. */
  begin(requester: Requester, request: RekeyRequest): Promise<RekeyUpdate> {
    return this.#serial.run(async () => {
      const present = await this.#present()
      if (present.type !== 'shamir') {
        throw badRequest(`rekey is not applicable to seal type ${present.type}`)
      }
      if (!requester.hasSudo && !request.key) throw new PosternError('permission_denied')
      checkShares('invalid rekey seal configuration', request)
      const share = request.key ? parseShare(request.key) : undefined
      const { shares, threshold, requireVerification = false } = request
      const details = { config: { ...present, shares, threshold }, requireVerification }
      const attempt = this.#attempts.start(requester, present.threshold, details)
      if (share) return this.#addShare(attempt, share)
      return { ...statusOf(attempt, present.threshold), complete: false }
    })
  }

  /** One of the present shares; the last of them makes the new ones. A wrong quorum is a 400 and ends what was collected. */
  update(requester: Requester, nonce: string, key: string): Promise<RekeyUpdate> {
    return this.#serial.run(async () => {
      await this.#present()
      const attempt = this.#attempts.need(requester, nonce || undefined)
      if (attempt.details.pending)
        throw badRequest('rekey waits for the verification of new shares')
      return this.#addShare(attempt, parseShare(key))
    })
  }

  cancel(requester: Requester, nonce?: string): Promise<void> {
    return this.#serial.run(async () => {
      const attempt = this.#attempts.find(requester, nonce)
      if (attempt) this.#drop(attempt)
    })
  }

  /** `nonce` is the verification's, not the attempt's. */
  async verificationStatus(requester: Requester, nonce?: string): Promise<VerificationStatus> {
    await this.#present()
    const attempt = this.#findPending(requester, nonce)
    return verificationOf(attempt, false)
  }

  /** One of the new shares; when enough were given back the keys are replaced. */
  verify(requester: Requester, nonce: string, key: string): Promise<VerificationStatus> {
    return this.#serial.run(async () => {
      await this.#present()
      const attempt = this.#findPending(requester, nonce)
      const pending = attempt?.details.pending
      if (!attempt || !pending)
        throw badRequest('no rekey verification in progress with this nonce')
      const before = pending.quorum.progress
      const isComplete = pending.quorum.add(parseShare(key))
      if (pending.quorum.progress > before) this.#attempts.touch(attempt)
      if (!isComplete) return verificationOf(attempt, false)
      const combined = await pending.quorum.combine()
      const isRight = combined !== undefined && isSameKey(pending.sealKey, combined)
      if (combined) wipe(combined)
      if (!isRight) throw badRequest('rekey verification failed: incorrect root key reconstruction')
      await this.#install(attempt, pending.sealKey, pending.proof)
      return verificationOf(attempt, true)
    })
  }

  /** Verification begins again, under another nonce; the new shares stay the same. */
  restartVerification(requester: Requester, nonce?: string): Promise<VerificationStatus> {
    return this.#serial.run(async () => {
      await this.#present()
      const attempt = this.#findPending(requester, nonce)
      if (attempt?.details.pending) {
        attempt.details.pending.quorum.wipe()
        attempt.details.pending.nonce = uuid()
      }
      return verificationOf(attempt, false)
    })
  }

  async #addShare(attempt: Attempt<Details>, share: Buffer): Promise<RekeyUpdate> {
    const { config, requireVerification } = attempt.details
    const { required } = attempt.quorum
    if (!this.#attempts.addShare(attempt, share)) {
      return { ...statusOf(attempt, required), complete: false }
    }
    const proof = await this.#seal.proveSealKey(await attempt.quorum.combine())
    if (!proof) {
      this.#attempts.reject(attempt)
      throw badRequest('rekey failed: invalid key: the shares given are not a quorum')
    }
    const bytes = secretBytes(KEY_BYTES)
    const keys = await splitKey(bytes, config.shares, config.threshold)
    const sealKey = createSecretKey(bytes)
    wipe(bytes)
    if (requireVerification) {
      const quorum = new Quorum(config.threshold)
      attempt.details.pending = { sealKey, proof, nonce: quorum.nonce, quorum }
      return { ...statusOf(attempt, required), complete: true, keys }
    }
    const status = statusOf(attempt, required)
    this.#drop(attempt)
    const install = () => this.#serial.run(() => this.#install(attempt, sealKey, proof))
    return { ...status, complete: true, keys, install }
  }

  async #install(attempt: Attempt<Details>, sealKey: KeyObject, proof: SealKeyProof) {
    this.#drop(attempt)
    if (!(await this.#seal.replaceSealKey(sealKey, attempt.details.config, proof))) {
      throw badRequest('rekey failed: the key shares were replaced meanwhile')
    }
  }

  #drop(attempt: Attempt<Details>): void {
    attempt.details.pending?.quorum.wipe()
    this.#attempts.drop(attempt)
  }

  #findPending(requester: Requester, nonce: string | undefined): Attempt<Details> | undefined {
    return this.#attempts.search(
      ({ details: { pending }, requester: { hasSudo } }) =>
        pending !== undefined && (nonce ? pending.nonce === nonce : requester.hasSudo && hasSudo),
    )
  }

  /** The seal's present configuration; throws `sealed`. */
  #present(): Promise<SealConfig> {
    if (this.#seal.isSealed) throw new PosternError('sealed')
    return this.#seal.config()
  }
}

function statusOf(attempt: Attempt<Details> | undefined, required: number): RekeyStatus {
  return {
    started: attempt !== undefined,
    nonce: attempt?.nonce ?? '',
    threshold: attempt?.details.config.threshold ?? 0,
    shares: attempt?.details.config.shares ?? 0,
    progress: attempt?.quorum.progress ?? 0,
    required,
    requireVerification: attempt?.details.requireVerification ?? false,
    verificationNonce: attempt?.details.pending?.nonce ?? '',
  }
}

function verificationOf(
  attempt: Attempt<Details> | undefined,
  complete: boolean,
): VerificationStatus {
  return {
    nonce: attempt?.details.pending?.nonce ?? '',
    started: attempt !== undefined,
    threshold: attempt?.details.config.threshold ?? 0,
    shares: attempt?.details.config.shares ?? 0,
    progress: attempt?.details.pending?.quorum.progress ?? 0,
    complete,
  }
}

function isSameKey(key: KeyObject, combined: Buffer): boolean {
  const bytes = key.export()
  const isSame = equalSecrets(bytes.toString('hex'), combined.toString('hex'))
  wipe(bytes)
  return isSame
}
