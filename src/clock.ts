/** The time, injected so that tests can move it. */

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** Whole Unix seconds, rounded down. */
export function unixSeconds(clock: Clock): number {
  return Math.floor(clock.now() / 1000)
}

/** RFC 3339 in UTC, as the API shows times. */
export function rfc3339(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
