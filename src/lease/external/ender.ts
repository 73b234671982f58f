/**
 * Ends leases whose end needs work outside the store: in groups, several groups at once, so that a host which is slow
 * or down holds up its own leases only. What fails stays in the store with the time of its next try.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { PosternError } from '../../errors.ts'
import { inBatches } from '../batch.ts'
import { heldPrefix, leaseRemoval, readLease, readLeases, type StoredLease } from '../lease.ts'
import { type BatchParts, type EndJob, endBatch } from './batch.ts'
import { CLAIM_MS, changeLease, isClaimed, retired } from './claim.ts'
import type { EngineOf, LeaseEngine } from './engine.ts'

/** Leases in one call of an engine. */
const PER_CALL = 500
const GROUPS_AT_ONCE = 16
/** Of these, groups that have failed before: they may take their time. */
const FAILING_AT_ONCE = 8
/** How often a lease that somebody works at is looked at by who waits for it. */
const POLL_MS = 100

export interface EnderParts extends BatchParts {
  readonly engineOf: EngineOf
}

type Result = Error | undefined

interface Job extends Pick<EndJob, 'onlyDue'> {
  readonly result: Promise<Result>
}

interface Waiting extends EndJob {
  readonly resolve: (result: Result) => void
}

interface Group {
  readonly mountUuid: string
  readonly waiting: Waiting[]
  isRunning: boolean
  hasFailed: boolean
}

export class LeaseEnder {
  readonly #parts: EnderParts
  /** What waits or is being ended, by lease. */
  readonly #jobs = new Map<string, Job>()
  readonly #groups = new Map<string, Group>()
  readonly #running = new Set<Promise<void>>()
  #failingRunning = 0
  #isStopped = false

  constructor(parts: EnderParts) {
    this.#parts = parts
  }

  isQueued(id: string): boolean {
    return this.#jobs.has(id)
  }

  /** Ends those that are due; nobody waits for it. */
  endDue(ids: readonly string[]): void {
    // Several processes that find the same leases due begin at different ones.
    const start = ids.length > 1 ? randomInt(ids.length) : 0
    void this.#queue([...ids.slice(start), ...ids.slice(0, start)], true)
  }

  /** Ends these, due or not, and waits for it: one result each. Who works at one just now is waited for. */
  async endNow(ids: readonly string[]): Promise<Result[]> {
    await inBatches(ids, (id) => this.#free(id))
    return Promise.all(this.#queue(ids, false))
  }

  /** Tries to end these once, and drops those for which that fails. */
  async endOrDrop(ids: readonly string[]): Promise<void> {
    const results = await this.endNow(ids).catch((error: Error) => ids.map(() => error))
    const failed = ids.filter((_id, at) => results[at])
    await inBatches(failed, (id) => this.#drop(id))
  }

  /** Takes these out of use and away from their tokens; they are ended as soon as nobody works at them. */
  async retire(ids: readonly string[]): Promise<void> {
    const { store, clock } = this.#parts
    await inBatches(ids, async (id) => {
      await changeLease(store, id, (lease, external) => [
        ...retired(lease, external, clock.now()),
        { key: heldPrefix(lease.tokenId) + id },
      ])
    })
    this.endDue(ids)
  }

  start(): void {
    this.#isStopped = false
  }

  /** Lets what runs come to its end and begins nothing more; what waits stays in the store. */
  stop(): void {
    this.#isStopped = true
    const stopped = new PosternError('unavailable')
    for (const { waiting } of this.#groups.values()) {
      for (const { resolve } of waiting.splice(0)) resolve(stopped)
    }
  }

  async settled(): Promise<void> {
    while (this.#jobs.size > 0) {
      await Promise.all(Array.from(this.#jobs.values(), ({ result }) => result))
    }
    await Promise.all(this.#running)
  }

  /** Takes the lease out of use, and waits until nobody works at it any more, at most as long as a claim holds. */
  async #free(id: string): Promise<void> {
    const { store, clock } = this.#parts
    for (let polls = 0; polls < CLAIM_MS / POLL_MS; polls++) {
      if (this.#isStopped || this.#jobs.has(id)) return
      const now = clock.now()
      let isFree = true
      await changeLease(store, id, (lease, external) => {
        isFree = !isClaimed(external, now)
        return isFree || external.ending ? undefined : retired(lease, external, now)
      })
      if (isFree) return
      await pause(POLL_MS)
    }
  }

  #queue(ids: readonly string[], onlyDue: boolean): Promise<Result>[] {
    const jobs: Waiting[] = []
    const results = ids.map((id) => {
      const known = this.#jobs.get(id)
      // What was due may be spared, since it was renewed meanwhile: it has to be ended all the same.
      if (known?.onlyDue && !onlyDue) {
        return known.result.then(async (failure) => failure ?? (await this.endNow([id]))[0])
      }
      if (known) return known.result
      const { promise, resolve } = Promise.withResolvers<Result>()
      const result = promise.finally(() => this.#jobs.delete(id))
      this.#jobs.set(id, { onlyDue, result })
      jobs.push({ id, onlyDue, resolve })
      return result
    })
    for (let at = 0; at < jobs.length; at += PER_CALL)
      void this.#sort(jobs.slice(at, at + PER_CALL))
    return results
  }

  /** Puts jobs to their groups. */
  async #sort(jobs: readonly Waiting[]): Promise<void> {
    try {
      const { store, engineOf } = this.#parts
      const leases = await readLeases(
        store,
        jobs.map(({ id }) => id),
      )
      const engines = new Map<string, LeaseEngine | undefined>()
      for (const lease of leases) {
        if (!lease || engines.has(lease.mountUuid)) continue
        engines.set(lease.mountUuid, await engineOf(lease.mountUuid))
      }
      for (const [at, job] of jobs.entries()) {
        const lease = leases[at]
        const engine = lease && engines.get(lease.mountUuid)
        if (this.#isStopped) job.resolve(new PosternError('unavailable'))
        else if (engine) this.#groupOf(lease, engine).waiting.push(job)
        else void this.#dropFor(job)
      }
      this.#runGroups()
    } catch (error) {
      for (const { resolve } of jobs) resolve(error as Error)
    }
  }

  #groupOf(lease: StoredLease, engine: LeaseEngine): Group {
    const { mountUuid } = lease
    const name = `${mountUuid} ${engine.groupOf(lease)}`
    let group = this.#groups.get(name)
    if (!group) {
      group = { mountUuid, waiting: [], isRunning: false, hasFailed: false }
      this.#groups.set(name, group)
    }
    group.hasFailed ||= (lease.external?.tries ?? 0) > 0
    return group
  }

  #runGroups(): void {
    for (const [name, group] of this.#groups) {
      if (this.#running.size >= GROUPS_AT_ONCE) return
      if (group.isRunning) continue
      if (group.waiting.length === 0) {
        this.#groups.delete(name)
        continue
      }
      const { hasFailed } = group
      if (hasFailed && this.#failingRunning >= FAILING_AT_ONCE) continue
      if (hasFailed) this.#failingRunning++
      group.isRunning = true
      const run = this.#run(group).finally(() => {
        if (hasFailed) this.#failingRunning--
        group.isRunning = false
        this.#running.delete(run)
        this.#runGroups()
      })
      this.#running.add(run)
    }
  }

  async #run(group: Group): Promise<void> {
    const jobs = group.waiting.splice(0, PER_CALL)
    try {
      const engine = await this.#parts.engineOf(group.mountUuid)
      if (!engine) await Promise.all(jobs.map((job) => this.#dropFor(job)))
      else {
        const results = await endBatch(this.#parts, engine, jobs)
        group.hasFailed = results.some((result) => result !== undefined)
        for (const [at, { resolve }] of jobs.entries()) resolve(results[at])
      }
    } catch (error) {
      for (const { resolve } of jobs) resolve(error as Error)
    }
  }

  /** Nobody is left who could end it: its mount is gone. */
  async #dropFor({ id, resolve }: Waiting): Promise<void> {
    await this.#drop(id).then(() => resolve(undefined), resolve)
  }

  /** Removes a lease whatever it stands for. */
  async #drop(id: string): Promise<void> {
    const { store, engineOf } = this.#parts
    const lease = await readLease(store, id)
    if (!lease) return
    const engine = await engineOf(lease.mountUuid)
    const beside = (await engine?.removalOf(lease)) ?? []
    await changeLease(store, id, (read) => [...beside, ...leaseRemoval(read)])
  }
}
