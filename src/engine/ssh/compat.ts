/** The mount option `compat=2015` (Decisions 1 and 3): what roles for hosts were in the first documents. */
import type { MountPoint } from '../../mount/call.ts'
import type { HostRoleRecord } from './host-role.ts'

/** Whether a mount behaves as in 2015; the server's configuration has to allow it too. */
export type IsCompat2015 = (mount: MountPoint) => boolean

export function compat2015(isAllowed: boolean): IsCompat2015 {
  return (mount) => isAllowed && mount.options.get('compat') === '2015'
}

/** What the engine needs of the server's log. */
export interface Log {
  warn(details: Readonly<Record<string, unknown>>, message: string): void
}

/** Says in words what an empty list of the role means under `compat=2015`; undefined when it widens nothing. */
export function widening(
  role: Pick<HostRoleRecord, 'cidrList' | 'allowedUsers'>,
): string | undefined {
  const parts = [
    ...(role.cidrList.trim() === '' ? ['every address'] : []),
    ...(role.allowedUsers.trim() === '' ? ['any user'] : []),
  ]
  return parts.length === 0 ? undefined : parts.join(' and ')
}
