/** What makes a request start again at its commit (protocols 1.3 and 1.4). */
import type { Condition } from '../../storage/store.ts'

/** Something that the request relied on has changed before its commit: it starts again. */
export class Conflict extends Error {
  override readonly name = 'Conflict'
  readonly failed: Condition

  constructor(failed: Condition) {
    super('a condition of the commit failed')
    this.failed = failed
  }
}
