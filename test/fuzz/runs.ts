/**
 * How much the fuzzers do: FUZZ_RUNS multiplies the runs of each, FUZZ_SEED repeats those of one seed. A failure prints
 * its seed and path; what was found that way is kept as an example beside the property.
 */
const FACTOR = Number(process.env['FUZZ_RUNS'] ?? 1)
const SEED = process.env['FUZZ_SEED']

/** What hangs ends as a failure, with its seed. */
const HANG_MILLISECONDS = 30_000

interface Runs {
  readonly numRuns: number
  readonly timeout: number
  readonly seed?: number
}

/** `runs` is the number that takes well under two seconds. */
export function fuzz(runs: number): Runs {
  const numRuns = Math.max(1, Math.round(runs * FACTOR))
  const timeout = HANG_MILLISECONDS
  return SEED === undefined ? { numRuns, timeout } : { numRuns, timeout, seed: Number(SEED) }
}
