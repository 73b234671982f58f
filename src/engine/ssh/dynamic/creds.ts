/** Issues keys that are installed on hosts (contract 9): refused in this state of the tree. */
import { refused } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import type { Grantee } from '../creds.ts'
import type { DynamicRole } from './role.ts'

export type IssueKey = (call: Call, role: DynamicRole, grantee: Grantee) => Promise<Outcome>

export const issueKey: IssueKey = () => {
  throw refused('dynamic keys are not served yet')
}
