/** The one commit of a request, and its undoing when the answer could not be audited. */
import { CONFIG_PREFIX, GENERATION_KEY } from '../../storage/path.ts'
import { tokenKey } from '../../token/token-store.ts'
import type { Parts } from '../parts.ts'
import type { Answered } from './answer.ts'
import type { ValidatedRequest } from './call.ts'
import { Conflict } from './conflict.ts'

export function isCommitNeeded({ writes, conditions }: Answered): boolean {
  return writes.length > 0 || conditions.length > 0
}

export function changesConfig({ writes }: Answered): boolean {
  return writes.some(({ key }) => key.startsWith(CONFIG_PREFIX))
}

function issues({ issuedKeys, outcome }: Answered): boolean {
  return issuedKeys.length > 0 || outcome.undelivered !== undefined
}

/** Commits the writes of a request. Throws Conflict when a condition failed; then nothing was written. */
export async function commitRequest(
  parts: Parts,
  request: ValidatedRequest,
  answered: Answered,
): Promise<void> {
  const { writes } = answered
  const conditions = [...answered.conditions]
  // What is created under a token, a role or a mount must not outlive a revocation that ran meanwhile.
  if (request.token) conditions.push({ key: tokenKey(request.token.id), is: 'present' })
  if (changesConfig(answered) || issues(answered)) {
    const { version } = request.config
    if (version !== undefined) conditions.push({ key: GENERATION_KEY, is: version })
  }
  const result = await parts.store.commit(writes, conditions)
  if (!result.committed) throw new Conflict(result.failed)
}

/** Takes back what the request issued: its receiver will never see it (protocols 2.1). */
export async function undoIssue(
  parts: Parts,
  issuedKeys: readonly string[],
  undelivered?: () => Promise<void>,
): Promise<void> {
  const undo = async () => {
    const writes = issuedKeys.map((key) => ({ key }))
    if (writes.length > 0) await parts.store.commit(writes, [])
    await undelivered?.()
  }
  try {
    await undo()
  } catch (error) {
    parts.log.error({ err: error }, 'an issued credential could not be undone; trying again later')
    parts.retryLater(undo)
  }
}
