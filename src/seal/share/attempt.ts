/**
 * Attempts at what key shares allow (rekey, generate-root), safe from strangers (CVE-2026-5807).
 *
 * A caller with sudo starts the one attempt that sudo callers see and may cancel. A caller without a token, who may
 * have lost the root token, hands in a first share at the start. One share proves nothing, so such attempts stand
 * side by side and hinder nobody: each is known by its nonce alone, which only its initiator is told. Going on and
 * cancelling need the nonce (or sudo); a wrong quorum costs that attempt only. Attempts end after ten minutes without
 * progress, with a seal of this server, and with its process: all shares have to reach the same node. Every 400 here
 * may be charged as a miss by the unauthenticated doors.
 */
import type { Clock } from '../../clock.ts'
import { badRequest, PosternError } from '../../errors.ts'
import { Quorum } from './quorum.ts'

const IDLE_MILLISECONDS = 10 * 60 * 1000
const MAX_ATTEMPTS = 1024
const MAX_ATTEMPTS_PER_SOURCE = 4

/** Who calls: with a token that has sudo on the path, or from some address (IPv6: its /64). */
export interface Requester {
  readonly hasSudo: boolean
  readonly source: string
}

export interface Attempt<T> {
  readonly details: T
  readonly requester: Requester
  readonly nonce: string
  readonly quorum: Quorum
  /** Milliseconds since the Unix epoch. */
  lastProgress: number
}

export class Attempts<T> {
  readonly #name: string
  readonly #clock: Clock
  /** By nonce; the one with the oldest progress first. */
  readonly #attempts = new Map<string, Attempt<T>>()

  /** `name` is what error texts call an attempt. */
  constructor(name: string, clock: Clock) {
    this.#name = name
    this.#clock = clock
  }

  start(requester: Requester, required: number, details: T): Attempt<T> {
    this.#expire()
    if (requester.hasSudo && this.#ofSudo()) throw badRequest(`${this.#name} already in progress`)
    if (!requester.hasSudo) this.#makeRoom(requester.source)
    const quorum = new Quorum(required)
    const lastProgress = this.#clock.now()
    const attempt = { details, requester, nonce: quorum.nonce, quorum, lastProgress }
    this.#attempts.set(attempt.nonce, attempt)
    return attempt
  }

  /** The attempt of this nonce; without a nonce, for sudo, the one that a sudo caller started. */
  find(requester: Requester, nonce: string | undefined): Attempt<T> | undefined {
    this.#expire()
    if (nonce) return this.#attempts.get(nonce)
    return requester.hasSudo ? this.#ofSudo() : undefined
  }

  /** The first live attempt that `matches`. */
  search(matches: (attempt: Attempt<T>) => boolean): Attempt<T> | undefined {
    this.#expire()
    return [...this.#attempts.values()].find(matches)
  }

  /** Like `find`; 400 where there is none. */
  need(requester: Requester, nonce: string | undefined): Attempt<T> {
    const attempt = this.find(requester, nonce)
    if (!attempt) throw badRequest(`no ${this.#name} in progress with this nonce`)
    return attempt
  }

  /** Adds a share, and resets the ten minutes; true when there are enough. The same share twice is no progress. */
  addShare(attempt: Attempt<T>, share: Buffer): boolean {
    const before = attempt.quorum.progress
    const isComplete = attempt.quorum.add(share)
    if (attempt.quorum.progress > before) this.touch(attempt)
    return isComplete
  }

  touch(attempt: Attempt<T>): void {
    attempt.lastProgress = this.#clock.now()
    this.#attempts.delete(attempt.nonce)
    this.#attempts.set(attempt.nonce, attempt)
  }

  drop(attempt: Attempt<T>): void {
    attempt.quorum.wipe()
    this.#attempts.delete(attempt.nonce)
  }

  /** After a wrong quorum: what was started with a share was started with a wrong one, maybe; sudo's attempt begins again. */
  reject(attempt: Attempt<T>): void {
    if (!attempt.requester.hasSudo) this.drop(attempt)
  }

  dropAll(): void {
    for (const attempt of this.#attempts.values()) this.drop(attempt)
  }

  #ofSudo(): Attempt<T> | undefined {
    return [...this.#attempts.values()].find(({ requester }) => requester.hasSudo)
  }

  #expire(): void {
    const oldest = this.#clock.now() - IDLE_MILLISECONDS
    for (const attempt of this.#attempts.values()) {
      if (attempt.lastProgress > oldest) return
      this.drop(attempt)
    }
  }

  /** Holds one address to a few attempts, and all to a bound: the one idle longest goes, which takes many addresses to force. */
  #makeRoom(source: string): void {
    const others = [...this.#attempts.values()].filter(({ requester }) => !requester.hasSudo)
    const own = others.filter(({ requester }) => requester.source === source)
    if (own.length >= MAX_ATTEMPTS_PER_SOURCE) throw new PosternError('too_many_requests')
    const [idlest] = others
    if (others.length >= MAX_ATTEMPTS && idlest) this.drop(idlest)
  }
}
