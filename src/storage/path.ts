/**
 * The keys of the store. Everything under `cfg/` is configuration: a commit that touches it renews
 * the generation.
 */

export const CONFIG_PREFIX = 'cfg/'

/** 16 random bytes that every commit to `cfg/` replaces (protocols 1.3). */
export const GENERATION_KEY = 'meta/generation'

/** Whether an operator sealed the server, read with every request (protocols 1.8). */
export const SEAL_KEY = 'meta/seal'

/**
 * Written by a restore into the store that it puts in place, unsealed: JSON, a `RestoreMark` of
 * `backup.ts`. Whoever unseals next deletes what the backup must not revive, takes a new generation
 * and removes this key in the last commit (protocols 1.10).
 */
export const RESTORED_KEY = 'meta/restored'

/** Comes after every key that begins with `prefix`: keys hold no character above it. */
export function afterPrefix(prefix: string): string {
  return `${prefix}\u{10ffff}`
}
