/** How many leases there are, and those that could not be ended so far (contract 2.5). */
import { badRequest } from '../../errors.ts'
import { IRREVOCABLE_PREFIX, LEASE_PREFIX, readLeases } from '../../lease/lease.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import { keysUnder } from '../../storage/view.ts'
import type { SysServices } from '../services.ts'

const DEFAULT_LIMIT = 10_000
const PAGE = 500

const listFields = {
  type: { type: 'string', description: '"irrevocable".' },
  limit: {
    type: 'string',
    default: String(DEFAULT_LIMIT),
    description: 'How many are shown at most; "none" for all.',
  },
} as const

export function leaseCountPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'leases/tidy',
      fields: {},
      operations: { update: () => ({ status: 202, warnings: [TIDY_WARNING] }) },
      synopsis: 'Does nothing: there is nothing to tidy.',
      description: 'Leases and what is stored for them are written and removed together.',
    }),
    declarePath({
      pattern: 'leases/count',
      fields: {
        type: {
          type: 'string',
          description: '"irrevocable" counts those that could not be ended.',
        },
      },
      operations: { read: (call) => count(services, call, call.fields.type) },
      synopsis: 'Counts the leases.',
      description: 'All, and by mount.',
    }),
    declarePath({
      pattern: 'leases',
      fields: listFields,
      operations: { read: (call) => listIrrevocable(services, call) },
      sudo: 'all',
      synopsis: 'Lists the leases that could not be ended.',
      description:
        'Leases whose end needs another machine, after six failed tries, with the last error. They are tried again every hour; sys/leases/revoke tries at once, and sys/leases/revoke-force drops them.',
    }),
  ]
}

const TIDY_WARNING =
  'Nothing to do: leases and what is stored for them are written and removed together, so nothing is left over.'

async function count(services: SysServices, call: Call, type: string): Promise<Outcome> {
  const table = await services.mountTable(call)
  const prefix = type === 'irrevocable' ? IRREVOCABLE_PREFIX : LEASE_PREFIX
  const counts = new Map<string, number>()
  let total = 0
  for await (const key of keysUnder(services.store, prefix)) {
    const id = key.slice(prefix.length)
    const mount = table.route(id)?.mount.path ?? id.slice(0, id.indexOf('/') + 1)
    counts.set(mount, (counts.get(mount) ?? 0) + 1)
    total++
  }
  return { data: { counts: Object.fromEntries(counts), lease_count: total } }
}

async function listIrrevocable(
  services: SysServices,
  { fields }: Call<typeof listFields>,
): Promise<Outcome> {
  const limit = limitOf(fields.limit)
  const shown: string[] = []
  let total = 0
  for await (const key of keysUnder(services.store, IRREVOCABLE_PREFIX)) {
    if (total++ < limit) shown.push(key.slice(IRREVOCABLE_PREFIX.length))
  }
  const leases: object[] = []
  for (let at = 0; at < shown.length; at += PAGE) {
    for (const lease of await readLeases(services.store, shown.slice(at, at + PAGE))) {
      if (!lease?.external) continue
      const { lastError = '', tries = 0 } = lease.external
      leases.push({ lease_id: lease.id, mount_id: lease.mountUuid, error: lastError, tries })
    }
  }
  const more = `${total} leases are irrevocable: only the first ${limit} are shown`
  return {
    data: { lease_count: total, leases },
    ...(total > limit && { warnings: [more] }),
  }
}

function limitOf(text: string): number {
  if (text === 'none') return Number.POSITIVE_INFINITY
  const limit = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0
  if (limit === 0) throw badRequest('limit must be a positive number or "none"')
  return limit
}
