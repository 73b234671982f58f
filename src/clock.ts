/** The time, injected so that tests can move it. */

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** Concurrent requests write the same millisecond, and the times of the same tokens, many times. */
const recentTexts = new Map<number, string>()
const MAX_RECENT = 64

/** RFC 3339 in UTC, as the API shows times. */
export function rfc3339(milliseconds: number): string {
  const known = recentTexts.get(milliseconds)
  if (known !== undefined) return known
  if (recentTexts.size >= MAX_RECENT) recentTexts.clear()
  const text = new Date(milliseconds).toISOString()
  recentTexts.set(milliseconds, text)
  return text
}
