/** Where a mount keeps its hosts. */
import { isHostId } from '../../../ssh/scoped-name.ts'
import type { Flag } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { usageFailure } from '../../failure.ts'
import type { Session } from '../../session.ts'

export const mountFlag: Flag = textFlag(
  'mount-point',
  'path',
  'Where the SSH engine is mounted; ssh when absent.',
)

export function mountOf({ input }: Session): string {
  return (input.text('mount-point') ?? 'ssh').replace(/^\/+|\/+$/g, '')
}

/** Throws a Failure for what is no id. */
export function hostPath(session: Session, id: string, rest = ''): string {
  if (!isHostId(id)) throw usageFailure(`not the id of a host: ${id}`)
  return `${mountOf(session)}/hosts/${id}${rest}`
}
