/** Fields for which an empty value says something else than no value (contract 6.8: `valid_principals`, `ttl`). */
import type { Call } from '../../mount/call.ts'

/** Whether the request held the field with a value, an empty one included; null is no value. */
export function isSent({ given, data }: Pick<Call, 'given' | 'data'>, name: string): boolean {
  return given.has(name) && data.get(name) !== null
}
