/**
 * Generate-root: a quorum of key shares gives a new root token, so that losing the last one is not the end (Vault
 * API, sys/generate-root). The token leaves as base64 of its bytes XOR a one-time password that only the initiator
 * was told, so that who hands in the last share does not learn it. Who may start, go on and cancel: share/attempt.ts.
 */
import type { Clock } from '../clock.ts'
import { badRequest, PosternError } from '../errors.ts'
import { base62 } from '../random.ts'
import type { Seal } from './seal.ts'
import { Serial } from './serial.ts'
import { type Attempt, Attempts, type Requester } from './share/attempt.ts'
import { parseShare } from './share/shamir.ts'

export interface GenerateRootOptions {
  readonly clock: Clock
  /** Characters of a root token, and so of the one-time password. */
  readonly tokenLength: number
  /** Creates, stores and gives a root token; called once a completed attempt. */
  createRootToken(): Promise<NewRootToken>
}

interface NewRootToken {
  readonly text: string
  /** Where it is stored: to be deleted again when the answer can't be audited (protocols 2.1). */
  readonly keys: readonly string[]
}

export interface GenerateRootRequest {
  /** As long as a token; one is made where it is absent. */
  readonly otp?: string
  /** Refused: the token is not given out under a PGP key. */
  readonly pgpKey?: string
  /** Obligatory without sudo. */
  readonly key?: string
}

/** What `sys/generate-root/attempt` and `…/update` show. */
export interface GenerateRootStatus {
  readonly started: boolean
  readonly nonce: string
  readonly progress: number
  readonly required: number
  readonly complete: boolean
  /** Base64 without padding; only in the answer to the last share. */
  readonly encodedToken: string
  /** Only in the answer to the start, and only when it was made here. */
  readonly otp: string
  readonly otpLength: number
  /** Only in the answer to the last share, and not shown: where the token is stored. */
  readonly issuedKeys?: readonly string[]
}

interface Details {
  readonly otp: string
}

export class GenerateRoot {
  readonly #seal: Seal
  readonly #options: GenerateRootOptions
  readonly #attempts: Attempts<Details>
  readonly #serial = new Serial()

  constructor(seal: Seal, options: GenerateRootOptions) {
    this.#seal = seal
    this.#options = options
    this.#attempts = new Attempts<Details>('root generation', options.clock)
    seal.onSealed(() => this.#attempts.dropAll())
  }

  async status(requester: Requester, nonce?: string): Promise<GenerateRootStatus> {
    const required = await this.#required()
    return this.#statusOf(this.#attempts.find(requester, nonce), required)
  }

  /** Starts an attempt; `nonce` and `otp` of the result are for the initiator alone. */
  begin(requester: Requester, request: GenerateRootRequest): Promise<GenerateRootStatus> {
    return this.#serial.run(async () => {
      const required = await this.#required()
      if (!requester.hasSudo && !request.key) throw new PosternError('permission_denied')
      if (request.pgpKey) throw badRequest('pgp_key is not supported: use an otp')
      if (request.otp && Buffer.byteLength(request.otp) !== this.#options.tokenLength) {
        throw badRequest('otp string is wrong length')
      }
      const share = request.key ? parseShare(request.key) : undefined
      const otp = request.otp || base62(this.#options.tokenLength)
      const attempt = this.#attempts.start(requester, required, { otp })
      const status = share
        ? await this.#addShare(attempt, share)
        : this.#statusOf(attempt, required)
      return { ...status, otp: request.otp ? '' : otp }
    })
  }

  /** One share; the last of them creates the token. A wrong quorum is a 400 and ends what was collected. */
  update(requester: Requester, nonce: string, key: string): Promise<GenerateRootStatus> {
    return this.#serial.run(async () => {
      await this.#required()
      const attempt = this.#attempts.need(requester, nonce || undefined)
      return this.#addShare(attempt, parseShare(key))
    })
  }

  cancel(requester: Requester, nonce?: string): Promise<void> {
    return this.#serial.run(async () => {
      const attempt = this.#attempts.find(requester, nonce)
      if (attempt) this.#attempts.drop(attempt)
    })
  }

  async #addShare(attempt: Attempt<Details>, share: Buffer): Promise<GenerateRootStatus> {
    const { required } = attempt.quorum
    if (!this.#attempts.addShare(attempt, share)) return this.#statusOf(attempt, required)
    const proof = await this.#seal.proveSealKey(await attempt.quorum.combine())
    if (!proof) {
      this.#attempts.reject(attempt)
      throw badRequest('root generation failed: invalid key: the shares given are not a quorum')
    }
    this.#attempts.drop(attempt)
    const { text, keys } = await this.#options.createRootToken()
    const encodedToken = encodeToken(text, attempt.details.otp)
    const status = this.#statusOf(attempt, required)
    return { ...status, progress: required, complete: true, encodedToken, issuedKeys: keys }
  }

  #statusOf(attempt: Attempt<Details> | undefined, required: number): GenerateRootStatus {
    return {
      started: attempt !== undefined,
      nonce: attempt?.nonce ?? '',
      progress: attempt?.quorum.progress ?? 0,
      required,
      complete: false,
      encodedToken: '',
      otp: '',
      otpLength: this.#options.tokenLength,
    }
  }

  /** Shares that it takes; throws `sealed`. */
  async #required(): Promise<number> {
    if (this.#seal.isSealed) throw new PosternError('sealed')
    return (await this.#seal.config()).threshold
  }
}

/** Base64, without padding, of the token's bytes XOR the one-time password's. */
function encodeToken(token: string, otp: string): string {
  const bytes = Buffer.from(token)
  const pad = Buffer.from(otp)
  if (bytes.length !== pad.length)
    throw new RangeError('internal error: token and otp differ in length')
  const encoded = bytes.map((byte, at) => byte ^ (pad[at] as number))
  return Buffer.from(encoded).toString('base64').replaceAll('=', '')
}
