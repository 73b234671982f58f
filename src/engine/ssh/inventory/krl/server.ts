/**
 * Serves a mount's KRL to whoever asks: built once a version, its statement signed once an hour, and one look at the store
 * a second for all who wait for the next version (protocols 5.6).
 */
import type { StoreView } from '../../../../storage/view.ts'
import { buildKrl } from './build.ts'
import type { BuiltKrl } from './bytes.ts'
import { krlVersion, readKrlContent } from './store.ts'

const POLL_MILLISECONDS = 1000
const MAX_WAITERS = 10_000
/** Waits that end within this time end together: answers in one turn cost a quarter less than one by one. */
const TOGETHER_MILLISECONDS = 500
/** Mounts whose lists are kept in memory. */
const MAX_LISTS = 16

export interface ServedKrl extends BuiltKrl {
  readonly version: number
}

interface Watch {
  readonly version: number
  readonly waiting: Set<() => void>
  readonly timer: NodeJS.Timeout
}

/** Of all mounts; a mount is told by where its data lies. */
export class KrlServer {
  readonly #closing: AbortSignal
  /** Least recently made first. */
  readonly #lists = new Map<
    string,
    { readonly version: number; readonly krl: Promise<ServedKrl> }
  >()
  readonly #watches = new Map<string, Watch>()
  #waiters = 0

  /** `closing` ends all waiting, for good. */
  constructor(closing: AbortSignal) {
    this.#closing = closing
    closing.addEventListener('abort', () => {
      for (const prefix of [...this.#watches.keys()]) this.#wake(prefix)
    })
  }

  get waiters(): number {
    return this.#waiters
  }

  /** The list as it is now. */
  async current(store: StoreView): Promise<ServedKrl> {
    const version = await krlVersion(store)
    const known = this.#lists.get(store.prefix)
    if (known?.version === version) return known.krl
    const krl = made(store)
    this.#lists.delete(store.prefix)
    this.#lists.set(store.prefix, { version, krl })
    if (this.#lists.size > MAX_LISTS) {
      const [oldest] = this.#lists.keys()
      this.#lists.delete(oldest as string)
    }
    krl.catch(() => {
      if (this.#lists.get(store.prefix)?.krl === krl) this.#lists.delete(store.prefix)
    })
    return krl
  }

  /**
   * Resolves when the version is another than this, or may be; after this time; when `onGone` calls back; when the server
   * closes; and at once where too many wait already.
   */
  async changed(
    store: StoreView,
    version: number,
    milliseconds: number,
    onGone: (listener: () => void) => void,
  ): Promise<void> {
    if (this.#closing.aborted || this.#waiters >= MAX_WAITERS) return
    const watch = this.#watches.get(store.prefix) ?? this.#watch(store, version)
    if (watch.version !== version) return
    this.#waiters++
    const { promise, resolve } = Promise.withResolvers<void>()
    const early = (performance.now() + milliseconds) % TOGETHER_MILLISECONDS
    const timer = setTimeout(resolve, milliseconds - early).unref()
    watch.waiting.add(resolve)
    onGone(resolve)
    await promise
    clearTimeout(timer)
    this.#waiters--
    watch.waiting.delete(resolve)
    if (watch.waiting.size === 0) this.#wake(store.prefix, watch)
  }

  #watch(store: StoreView, version: number): Watch {
    const { prefix } = store
    const look = async () => {
      // Whoever is woken reads for himself, and so learns of a seal or a failure.
      const now = await krlVersion(store).catch(() => undefined)
      if (now !== version) this.#wake(prefix, watch)
    }
    const timer = setInterval(look, POLL_MILLISECONDS).unref()
    const watch = { version, waiting: new Set<() => void>(), timer }
    this.#watches.set(prefix, watch)
    return watch
  }

  #wake(prefix: string, only?: Watch): void {
    const watch = this.#watches.get(prefix)
    if (!watch || (only && watch !== only)) return
    this.#watches.delete(prefix)
    clearInterval(watch.timer)
    for (const wake of watch.waiting) wake()
  }
}

async function made(store: StoreView): Promise<ServedKrl> {
  const content = await readKrlContent(store)
  return { version: content.version, ...(await buildKrl(content)) }
}
