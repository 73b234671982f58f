/**
 * Writes lines to one open file or pipe (protocols 2.2): lines of concurrent requests go out in one asynchronous
 * write, and each line succeeds only when the returned count says that all of it was taken.
 */

import { setTimeout as setTimer } from 'node:timers/promises'

/** What lines are written to. */
export interface Sink {
  /** Resolves to the number of bytes taken, which may be fewer than given. */
  write(bytes: Uint8Array): Promise<number>
  /** Brings what was written to the disk; absent where nothing waits for that. */
  sync?(): Promise<void>
  /** A pipe takes a long text in several pieces; a file that takes only a piece is full. */
  readonly isStream: boolean
  /** Called once, when the writer is closed and no write is under way. */
  close?(): Promise<void>
}

interface PendingLine {
  readonly text: string
  /** The watch round in which it came. */
  readonly since: number
  resolve(): void
  reject(error: Error): void
}

const WATCH_MS = 500
/** Four full rounds: a line fails when it has waited for 2 to 2.5 seconds. */
const DEADLINE_ROUNDS = 4
const PIPE_FULL_WAIT_MS = 5
const ROOM_BYTES = 256 * 1024
/** No character takes more in UTF-8. */
const MAX_CHARACTER_BYTES = 3
const MAX_WAITING_CHARACTERS = 32 * 1024 * 1024

export class LineWriter {
  readonly #sink: Sink
  #waiting: PendingLine[] = []
  #waitingCharacters = 0
  #room: Buffer | undefined
  #inFlight: PendingLine[] = []
  #isBusy = false
  /** The last thing in the file is a piece of a line. */
  #isTorn: boolean
  #isClosed = false
  #round = 0
  #watch: NodeJS.Timeout | undefined
  #settled: (() => void)[] = []

  constructor(sink: Sink, { isTorn = false }: { readonly isTorn?: boolean } = {}) {
    this.#sink = sink
    this.#isTorn = isTorn
  }

  /** Writes a line, newline included. Rejects when not all of it was taken in time. */
  write(text: string): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error('the audit device is closed'))
    if (this.#waitingCharacters > MAX_WAITING_CHARACTERS) {
      return Promise.reject(new Error('too many audit lines are waiting'))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, since: this.#round, resolve, reject })
      this.#waitingCharacters += text.length
      this.#watch ??= setTimeout(() => this.#checkDeadlines(), WATCH_MS)
      if (!this.#isBusy) this.#writeSoon()
    })
  }

  /** Refuses further lines. Resolves when every earlier one has its result: a write that hangs is not waited for. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (!this.#isBusy) await this.#sink.close?.()
    else if (!this.#hangs()) await new Promise<void>((resolve) => this.#settled.push(resolve))
  }

  /** Once this turn of the event loop has handled its requests, so that their lines share one write. */
  #writeSoon(): void {
    this.#isBusy = true
    setImmediate(() => void this.#writeBatch())
  }

  async #writeBatch(): Promise<void> {
    this.#inFlight = this.#waiting
    this.#waiting = []
    this.#waitingCharacters = 0
    try {
      if (this.#inFlight.length > 0) await this.#writeLines(this.#inFlight)
    } catch (error) {
      for (const line of this.#inFlight) line.reject(error as Error)
    }
    this.#inFlight = []
    if (this.#waiting.length > 0) {
      this.#writeSoon()
      return
    }
    this.#isBusy = false
    if (this.#isClosed) await this.#sink.close?.()
    this.#tellSettled()
  }

  async #writeLines(lines: readonly PendingLine[]): Promise<void> {
    const closing = this.#isTorn ? '\n' : ''
    const bytes = this.#bytesOf(lines.reduce((joined, { text }) => joined + text, closing))
    const written = await this.#put(bytes)
    const whole =
      written === bytes.length
        ? this.#allWhole(lines)
        : this.#countWhole(lines, written - closing.length)
    if (written > 0) await this.#sink.sync?.()
    for (const [index, line] of lines.entries()) {
      if (index < whole) line.resolve()
      else line.reject(new Error('the audit device did not take the whole line'))
    }
  }

  /** In the same room for every write, since there is one at a time: only a text of unusual length gets its own. */
  #bytesOf(text: string): Buffer {
    if (text.length * MAX_CHARACTER_BYTES > ROOM_BYTES) return Buffer.from(text)
    this.#room ??= Buffer.allocUnsafeSlow(ROOM_BYTES)
    return this.#room.subarray(0, this.#room.write(text))
  }

  #allWhole(lines: readonly PendingLine[]): number {
    this.#isTorn = false
    return lines.length
  }

  /** How many lines lie whole in the first `written` bytes; notes whether a piece of another follows them. */
  #countWhole(lines: readonly PendingLine[], written: number): number {
    if (written < 0) return 0
    let left = written
    let whole = 0
    for (const { text } of lines) {
      const size = Buffer.byteLength(text)
      if (left < size) break
      left -= size
      whole++
    }
    this.#isTorn = left > 0
    return whole
  }

  async #put(bytes: Uint8Array): Promise<number> {
    const started = this.#round
    let written = 0
    for (;;) {
      try {
        const count = await this.#sink.write(written === 0 ? bytes : bytes.subarray(written))
        written += count
        if (written === bytes.length || count === 0 || !this.#sink.isStream) return written
      } catch (error) {
        const isFullPipe = (error as NodeJS.ErrnoException).code === 'EAGAIN'
        if (isFullPipe && this.#round - started <= DEADLINE_ROUNDS)
          await setTimer(PIPE_FULL_WAIT_MS)
        else if (written > 0) return written
        else throw error
      }
    }
  }

  #checkDeadlines(): void {
    this.#round++
    const late = [...this.#inFlight, ...this.#waiting].filter((line) => this.#isLate(line))
    for (const line of late) line.reject(new Error('the audit device did not answer in time'))
    if (late.length > 0) {
      this.#waiting = this.#waiting.filter((line) => !this.#isLate(line))
      this.#waitingCharacters = this.#waiting.reduce((sum, { text }) => sum + text.length, 0)
    }
    if (this.#hangs()) this.#tellSettled()
    const isPending = this.#isBusy && !this.#hangs()
    this.#watch = isPending ? setTimeout(() => this.#checkDeadlines(), WATCH_MS) : undefined
  }

  #isLate({ since }: PendingLine): boolean {
    return this.#round - since > DEADLINE_ROUNDS
  }

  /** A write is under way whose lines have all failed, and no other line waits. */
  #hangs(): boolean {
    const { length } = this.#inFlight
    return length > 0 && this.#waiting.length === 0 && this.#inFlight.every((l) => this.#isLate(l))
  }

  #tellSettled(): void {
    for (const resolve of this.#settled) resolve()
    this.#settled = []
  }
}
