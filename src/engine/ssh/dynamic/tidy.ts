/** `tidy/dynamic-keys`: drops admin keys that are of no use any more (Vault API). */
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import type { Condition, Write } from '../../../storage/store.ts'
import { findRole, ROLES } from '../role/role.ts'
import { leasesWith, unusedSince } from './key-use.ts'
import { KEYS } from './keys.ts'

async function tidy(call: Call): Promise<Outcome> {
  const names = await call.config.list(KEYS)
  const used = await keysOfRoles(call)
  const writes: Write[] = []
  const conditions: Condition[] = []
  let removed = 0
  for (const name of names) {
    if (used.has(name)) continue
    const { write, condition } = await unusedSince(call.store, name)
    if ((await leasesWith(call.store, name)) > 0) continue
    writes.push(call.config.remove(KEYS + name), write)
    conditions.push(condition)
    removed += 1
  }
  const message = `Removed ${removed} of ${names.length} host keys.`
  return { data: { message }, writes, conditions }
}

async function keysOfRoles(call: Call): Promise<Set<string>> {
  const names = await call.config.list(ROLES)
  const roles = await Promise.all(names.map((name) => findRole(call.config, name)))
  return new Set(roles.flatMap((role) => (role?.keyType === 'dynamic' ? [role.key] : [])))
}

export const tidyPath: Path = declarePath({
  pattern: 'tidy/dynamic-keys',
  fields: {},
  sudo: 'all',
  operations: { delete: tidy },
  synopsis: 'Removes stored keys that nothing uses any more.',
  description: 'Deletes each key below keys/ that no role names and no live lease needs.',
})
