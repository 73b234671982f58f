/** The settings of a mount as requests give them: for a new mount, and for tuning one (contract 2.2). */
import { parseDuration } from '../../duration.ts'
import { badRequest } from '../../errors.ts'
import type { MountConfig } from '../../mount/mount-table.ts'
import { defaultMountConfig } from '../../mount/mount-table.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

interface SystemTtl {
  readonly defaultSeconds: number
  readonly maxSeconds: number
}

/** The settings of a new mount. Empty and null values count as absent. */
export function newMountConfig(
  given: ReadonlyMap<string, unknown>,
  mountClass: 'secret' | 'auth',
  system: SystemTtl,
): MountConfig {
  const config: Mutable<MountConfig> = { ...defaultMountConfig }
  if (mountClass === 'auth') config.tokenType = 'default-service'
  applySettings(config, given)
  config.forceNoCache =
    given.get('force_no_cache') === true || given.get('force_no_cache') === 'true'
  const { defaultLeaseTtl, maxLeaseTtl } = config
  if (maxLeaseTtl !== 0 && defaultLeaseTtl > maxLeaseTtl) {
    throw badRequest('given default lease TTL greater than given max lease TTL')
  }
  if (maxLeaseTtl === 0 && defaultLeaseTtl > system.maxSeconds) {
    throw badRequest(
      `given default lease TTL greater than system max lease TTL of ${system.maxSeconds}`,
    )
  }
  return config
}

/** A mount's settings with those of a tune request; an empty text keeps, `system` resets. */
export function tunedConfig(
  config: MountConfig,
  given: ReadonlyMap<string, unknown>,
  system: SystemTtl,
): MountConfig {
  const tuned: Mutable<MountConfig> = { ...config }
  applySettings(tuned, given)
  const max = tuned.maxLeaseTtl || system.maxSeconds
  if (tuned.defaultLeaseTtl > max) {
    throw badRequest(
      `backend max lease TTL of ${max} would be less than backend default lease TTL of ${tuned.defaultLeaseTtl}`,
    )
  }
  return tuned
}

function applySettings(config: Mutable<MountConfig>, given: ReadonlyMap<string, unknown>): void {
  const setTtl = (name: string, shown: string, assign: (seconds: number) => void) => {
    const value = given.get(name)
    if (value === undefined || value === null || value === '') return
    assign(value === 'system' ? 0 : ttlOf(value, shown))
  }
  setTtl('default_lease_ttl', 'default', (seconds) => {
    config.defaultLeaseTtl = seconds
  })
  setTtl('max_lease_ttl', 'max', (seconds) => {
    config.maxLeaseTtl = seconds
  })
  const visibility = textOf(given.get('listing_visibility'))
  if (visibility !== undefined) {
    if (!['', 'hidden', 'unauth'].includes(visibility)) {
      throw badRequest(`invalid listing_visibility ${visibility}`)
    }
    // Empty is unset: who takes it back must not stay visible to everybody.
    if (visibility === '') delete config.listingVisibility
    else config.listingVisibility = visibility
  }
  const tokenType = textOf(given.get('token_type'))
  if (tokenType && config.tokenType !== undefined) config.tokenType = tokenType
  const lists = [
    ['audit_non_hmac_request_keys', 'auditNonHmacRequestKeys'],
    ['audit_non_hmac_response_keys', 'auditNonHmacResponseKeys'],
    ['passthrough_request_headers', 'passthroughRequestHeaders'],
    ['allowed_response_headers', 'allowedResponseHeaders'],
  ] as const
  for (const [name, key] of lists) {
    const list = listOf(given.get(name))
    if (list) config[key] = list
  }
}

function ttlOf(value: unknown, shown: string): number {
  try {
    const seconds = Math.trunc(parseDuration(String(value)))
    if (seconds < 0) throw new RangeError('the duration is negative')
    return seconds
  } catch (error) {
    throw badRequest(`unable to parse ${shown} TTL of ${value}: ${(error as Error).message}`)
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function listOf(value: unknown): string[] | undefined {
  const parts = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(parts)) return undefined
  return parts.map((part) => String(part).trim()).filter((part) => part !== '')
}
