/**
 * Group commit (protocols 1.2): batches that arrive in one tick share one transaction, and while it
 * is being made durable the next group collects. Knows no database: it is handed the function that
 * applies a group.
 */
import { PosternError } from '../errors.ts'
import type { CommitResult, Condition, Write } from './store.ts'

/** What one caller wants applied as a whole. */
export interface Batch {
  readonly writes: readonly Write[]
  readonly conditions: readonly Condition[]
}

/**
 * A batch's outcome when it was applied; else the outcome is the index of the first condition that
 * failed.
 */
export const APPLIED = -1

/**
 * Applies batches in order in one transaction and resolves with their outcomes once it is durable;
 * rejects when the store failed, and then nothing of the group was applied.
 */
export type ApplyGroup = (batches: readonly Batch[]) => Promise<readonly number[]>

interface Member extends Batch {
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
}

/** Waiting batches beyond this are refused: a stalled disk must not fill the memory. */
const MAX_WAITING = 10_000
/** Bounds the time that one transaction takes, and with it everybody's wait. */
export const MAX_GROUP = 1_000

export class GroupCommit {
  readonly #apply: ApplyGroup
  #waiting: Member[] = []
  #isScheduled = false
  #isClosed = false
  #whenIdle: (() => void) | undefined

  constructor(apply: ApplyGroup) {
    this.#apply = apply
  }

  /**
   * Settles when the group of this batch is durable or has failed; the caller leaves the values
   * alone until then.
   */
  add(batch: Batch): Promise<CommitResult> {
    if (this.#isClosed) return Promise.reject(new PosternError('unavailable'))
    if (this.#waiting.length >= MAX_WAITING) return Promise.reject(new PosternError('unavailable'))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...batch, resolve, reject })
      this.#schedule()
    })
  }

  /** Refuses further batches and resolves when those already added are settled. */
  close(): Promise<void> {
    this.#isClosed = true
    if (!this.#isScheduled) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenIdle = resolve
    })
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    // After the input of this turn of the event loop: all requests that came together commit
    // together.
    setImmediate(() => void this.#run())
  }

  async #run(): Promise<void> {
    const members = this.#waiting.splice(0, MAX_GROUP)
    try {
      const outcomes = await this.#apply(members)
      for (const [at, member] of members.entries()) member.resolve(resultOf(member, outcomes[at]))
    } catch (cause) {
      for (const { reject } of members)
        reject(new PosternError('store_failed', undefined, { cause }))
    }
    this.#isScheduled = false
    if (this.#waiting.length > 0) this.#schedule()
    else this.#whenIdle?.()
  }
}

function resultOf({ conditions }: Batch, outcome: number | undefined): CommitResult {
  if (outcome === APPLIED) return { committed: true }
  const failed = conditions[outcome ?? conditions.length]
  if (!failed) throw new TypeError('internal error: a group has fewer outcomes than members')
  return { committed: false, failed }
}

/** A bad call of our own code is a TypeError: nothing that a database could answer to. */
export function checkBatch({ writes, conditions }: Batch): void {
  for (const { key } of writes) checkKey(key)
  for (const { key, is } of conditions) {
    checkKey(key)
    if (is === 'present' || is === 'empty' || Number.isSafeInteger(is)) continue
    if (is !== 'absent')
      throw new TypeError(`condition on ${key} is neither absent, present, empty nor a version`)
    // Databases lock rows, and a row that nobody writes is not there to be locked (protocols 1.1).
    if (!writes.some((write) => write.key === key)) {
      throw new TypeError(`condition "absent" on ${key}, which the batch does not write`)
    }
  }
}

/**
 * Keys are well-formed text below U+10FFFF, the end of every prefix; databases disagree about NUL.
 */
export function checkKey(key: string): void {
  if (key === '' || !key.isWellFormed() || key.includes('\0') || key.includes('\u{10ffff}')) {
    throw new TypeError('a key of the store is empty or holds a character that keys may not hold')
  }
}
