/** What backends do for their mounts without a request: each hour, and after a restore (protocols 1.10). */
import type { Mount } from '../mount/mount-table.ts'
import type { Backend } from '../mount/path.ts'
import { currentMounts } from './config/mounts.ts'
import { type EngineParts, inMount } from './lease/lease-engines.ts'
import type { ServerLog } from './parts.ts'

const PERIOD_MS = 3_600_000
/** After a start there is other work to do. */
const FIRST_MS = 60_000

export class Housekeeping {
  readonly #parts: EngineParts
  readonly #log: ServerLog
  #dueAt = Number.POSITIVE_INFINITY

  constructor(parts: EngineParts, log: ServerLog) {
    this.#parts = parts
    this.#log = log
  }

  start(): void {
    this.#dueAt = this.#parts.clock.now() + FIRST_MS
  }

  stop(): void {
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  /** Whether the hour is over; then the next one begins. */
  takeDue(): boolean {
    const now = this.#parts.clock.now()
    if (now < this.#dueAt) return false
    this.#dueAt = now + PERIOD_MS
    return true
  }

  /** One mount after the other; one that fails keeps none from its turn. */
  async run(): Promise<void> {
    for (const { mount, backend } of await this.#mounted()) {
      const { periodic } = backend
      if (!periodic) continue
      try {
        await inMount(this.#parts, mount, periodic)
      } catch (error) {
        this.#log.error({ err: error, mount: mount.path }, 'the housekeeping of a mount failed')
      }
    }
  }

  /** Tells every backend that its store was restored from a backup. */
  async restored(): Promise<void> {
    for (const { mount, backend } of await this.#mounted()) {
      if (backend.restored) await inMount(this.#parts, mount, backend.restored)
    }
  }

  async #mounted(): Promise<{ readonly mount: Mount; readonly backend: Backend }[]> {
    const { store, cache, backends } = this.#parts
    return (await currentMounts(store, cache)).all().flatMap((mount) => {
      const backend = mount.unmounting ? undefined : backends.get(mount.type)?.backend
      return backend ? [{ mount, backend }] : []
    })
  }
}
