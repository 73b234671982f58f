/** One try at ending leases of one group: claims, the engine's call, and what comes of it (protocols 1.5 and 1.6). */
import type { Clock } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { printable } from '../../redact.ts'
import type { Store, Write } from '../../storage/store.ts'
import { type ExternalState, IRREVOCABLE_PREFIX, leaseRemoval, type StoredLease } from '../lease.ts'
import { CLAIM_MS, changeLease, isClaimed, movedTo, newClaim } from './claim.ts'
import type { LeaseEngine } from './engine.ts'

/** Pauses after the first, the second … failed try; the last one for all that follow. */
const PAUSES_MS = [10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000]
/** From so many failed tries on a lease is listed as irrevocable. */
const TRIES_TO_LIST = 6
/** An engine that takes longer has failed: its claims are about to lapse. */
const DEADLINE_MS = CLAIM_MS - 5000

const EMPTY = new Uint8Array(0)

export interface BatchParts {
  readonly store: Store
  readonly clock: Clock
  /** A try that failed; the lease stays. */
  readonly onFailure: (leaseId: string, error: Error) => void
}

export interface EndJob {
  readonly id: string
  /** Spares a lease that is not due now. */
  readonly onlyDue: boolean
}

/** Gives one result for each job: undefined where the lease is gone, or not due. */
export async function endBatch(
  parts: BatchParts,
  engine: LeaseEngine,
  jobs: readonly EndJob[],
): Promise<(Error | undefined)[]> {
  const claims = await Promise.all(jobs.map((job) => claimToEnd(parts, job).catch(asError)))
  const claimed = claims.filter(
    (claim): claim is Claimed => claim !== undefined && 'lease' in claim,
  )
  const leases = claimed.map(({ lease }) => lease)
  const ends = leases.length === 0 ? [] : await endOutside(engine, leases)
  const results = new Map<Claimed, Error | undefined>()
  const finish = async (claim: Claimed, failure: Error | undefined) => {
    const result = failure ?? (await remove(parts, engine, claim).catch(asError))
    results.set(claim, result)
    if (result) await noteFailure(parts, claim, result)
  }
  // A claim whose end could not be stored lapses, and the lease is due again.
  await Promise.all(claimed.map((claim, at) => finish(claim, ends[at]).catch(() => {})))
  return claims.map((claim) =>
    claim === undefined || claim instanceof Error ? claim : results.get(claim),
  )
}

interface Claimed {
  readonly lease: StoredLease
  readonly claimId: string
}

async function claimToEnd(
  { store, clock }: BatchParts,
  { id, onlyDue }: EndJob,
): Promise<Claimed | Error | undefined> {
  const now = clock.now()
  const claim = newClaim(now)
  let lease: StoredLease | undefined
  let isBusy = false
  const isOurs = await changeLease(store, id, (read, external) => {
    isBusy = isClaimed(external, now)
    if (isBusy || (onlyDue && external.dueAt > now)) return undefined
    lease = read
    return movedTo(read, { ...external, claim, ending: true, dueAt: claim.until })
  })
  if (isOurs && lease) return { lease, claimId: claim.id }
  return isBusy ? busy() : undefined
}

async function endOutside(
  engine: LeaseEngine,
  leases: readonly StoredLease[],
): Promise<readonly (Error | undefined)[]> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const text = `nothing was heard for ${DEADLINE_MS / 1000} s`
    timer = setTimeout(() => reject(new PosternError('refused', text)), DEADLINE_MS)
    timer.unref()
  })
  try {
    const results = await Promise.race([engine.end(leases), late])
    if (results.length !== leases.length) throw new Error('an engine lost leases')
    return results
  } catch (error) {
    const failure = asError(error)
    return leases.map(() => failure)
  } finally {
    clearTimeout(timer)
  }
}

async function remove(
  { store }: BatchParts,
  engine: LeaseEngine,
  { lease, claimId }: Claimed,
): Promise<undefined> {
  const beside = await engine.removalOf(lease)
  await changeLease(store, lease.id, (read, { claim }) =>
    claim?.id === claimId ? [...beside, ...leaseRemoval(read)] : undefined,
  )
}

async function noteFailure(
  { store, clock, onFailure }: BatchParts,
  { lease: { id }, claimId }: Claimed,
  failure: Error,
): Promise<void> {
  onFailure(id, failure)
  await changeLease(store, id, (lease, { claim, ...external }) =>
    claim?.id === claimId ? failed(lease, external, failure, clock.now()) : undefined,
  )
}

function failed(
  lease: StoredLease,
  external: Omit<ExternalState, 'claim'>,
  failure: Error,
  now: number,
): Write[] {
  const tries = (external.tries ?? 0) + 1
  const pause = PAUSES_MS[tries - 1] ?? (PAUSES_MS.at(-1) as number)
  const lastError = printable(failure.message)
  const writes = movedTo(lease, { ...external, tries, lastError, dueAt: now + pause })
  if (tries >= TRIES_TO_LIST) writes.push({ key: IRREVOCABLE_PREFIX + lease.id, value: EMPTY })
  return writes
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function busy(): Error {
  return new PosternError('unavailable', 'the lease is being made, renewed or ended; try again')
}
