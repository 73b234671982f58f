/** sys/remount: another path for a mount. Its storage lies under its uuid, so that nothing is moved (contract 2.2). */
import { badRequest, PosternError } from '../../errors.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import { uuid } from '../../random.ts'
import type { SysServices } from '../services.ts'
import { refuseUnspeakable, writeTable } from './mounts.ts'

const remountFields = {
  from: { type: 'string', description: 'Present path of the mount.' },
  to: { type: 'string', description: 'New path.' },
} as const

interface Migration {
  readonly source: string
  readonly target: string
  status: 'in-progress' | 'success' | 'failure'
}

/** Remembered for clients that ask how it went; the oldest are forgotten. */
const MAX_REMEMBERED = 100

export function remountPaths(services: SysServices): Path[] {
  const migrations = new Map<string, Migration>()
  return [
    declarePath({
      pattern: 'remount',
      fields: remountFields,
      operations: { update: (call) => remount(services, migrations, call) },
      topLevelCopy: true,
      sudo: 'all',
      synopsis: 'Moves a mount to another path.',
      description: 'Leases of the mount are ended; roles and keys stay.',
    }),
    declarePath({
      pattern: 'remount/status/:migration_id',
      fields: {
        migration_id: { type: 'string', description: 'As the remount answered.', secret: false },
      },
      operations: {
        read: ({ fields }) => {
          const found = migrations.get(fields.migration_id)
          if (!found) throw new PosternError('not_found', undefined, { messages: [] })
          const { source, target, status } = found
          return {
            data: {
              migration_id: fields.migration_id,
              migration_info: { source_mount: source, target_mount: target, status },
            },
          }
        },
      },
      synopsis: 'Says how a move goes.',
      description: 'in-progress, success or failure.',
    }),
  ]
}

async function remount(
  services: SysServices,
  migrations: Map<string, Migration>,
  call: Call<typeof remountFields>,
): Promise<Outcome> {
  const from = mountPathOf(call.fields.from)
  const to = mountPathOf(call.fields.to)
  if (from === '/' || to === '/') {
    throw badRequest("both 'from' and 'to' path must be specified as a string")
  }
  const table = await services.mountTable(call)
  const mount = table.get(from)
  const isProtected = (path: string) => /^(sys|auth\/token|cubbyhole|identity|audit)\//.test(path)
  if (isProtected(from)) throw badRequest(`cannot remount ${JSON.stringify(from)}`)
  if (isProtected(to)) throw badRequest(`cannot remount to ${JSON.stringify(to)}`)
  if (!mount || mount.unmounting) throw badRequest(`no matching mount at ${JSON.stringify(from)}`)
  refuseUnspeakable(to.slice(0, -1))
  if (mount.class === 'secret' && to.startsWith('auth/')) {
    throw badRequest('cannot remount a secrets engine to an auth path')
  }
  if (mount.class === 'auth' && !to.startsWith('auth/')) {
    throw badRequest('cannot remount an auth method to a secrets path')
  }
  const conflict = table.without(from).conflict(to)
  if (conflict !== undefined) throw badRequest(`path already in use at ${JSON.stringify(conflict)}`)
  const formerPaths = (mount.formerPaths ?? []).filter((path) => path !== from && path !== to)
  const id = uuid()
  const migration: Migration = { source: from, target: to, status: 'in-progress' }
  for (const oldest of migrations.keys()) {
    if (migrations.size < MAX_REMEMBERED) break
    migrations.delete(oldest)
  }
  migrations.set(id, migration)
  return {
    ...writeTable(table.with({ ...mount, path: to, formerPaths: [...formerPaths, from] })),
    data: { migration_id: id },
    warnings: [`The mount is moved; the leases made at ${JSON.stringify(from)} are being ended.`],
    followUp: async () => {
      try {
        await services.endMoved(mount.uuid)
        migration.status = 'success'
      } catch (error) {
        migration.status = 'failure'
        throw error
      }
    },
  }
}

function mountPathOf(text: string): string {
  return `${text.replace(/^\/+|\/+$/g, '')}/`
}
