/** Follows what sshd logs, from where it stopped last time: in the journal, or in a file that may be rotated. */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type AcceptedLine, parseJournalEntry, parseLogLine } from './accepted-line.ts'

/** `journal`, `none`, or the path of a file. */
export type LogSource = string

/** Where to go on. */
export interface LogPosition {
  readonly cursor?: string
  readonly inode?: number
  readonly offset?: number
}

export interface LogFollower {
  /** The logins since the last call. */
  poll(now: number): AcceptedLine[]
  /** After all that was given. */
  readonly position: LogPosition
  close(): void
}

const MAX_READ_BYTES = 1_048_576
const MAX_WAITING = 5000

/** What is followed where the config says nothing: the journal where there is one. */
export function defaultLogSource(): LogSource {
  if (existsSync('/run/systemd/journal/stdout')) return 'journal'
  return ['/var/log/auth.log', '/var/log/secure'].find((file) => existsSync(file)) ?? 'none'
}

export function followLog(source: LogSource, from: LogPosition, boot: string): LogFollower {
  if (source === 'journal') return new JournalFollower(from)
  if (source === 'none') return { poll: () => [], position: {}, close: () => {} }
  return new FileFollower(source, from, boot)
}

class FileFollower implements LogFollower {
  readonly #file: string
  readonly #boot: string
  position: LogPosition

  constructor(file: string, from: LogPosition, boot: string) {
    this.#file = file
    this.#boot = boot
    this.position = from
  }

  poll(now: number): AcceptedLine[] {
    const current = statSync(this.#file, { throwIfNoEntry: false })
    if (!current) {
      // One that is made later is new from its first line on.
      this.position = { inode: 0, offset: 0, ...this.position }
      return []
    }
    const rotated = this.#rotated(current.ino)
    if (rotated !== undefined) {
      const before = this.position.offset
      const lines = this.#read(rotated, now)
      // Syslog writes to the old file until it opens the new one.
      if (this.position.offset !== before || current.size === 0) return lines
    }
    return this.#read(this.#file, now)
  }

  close(): void {}

  /** The file that was being read, under the name that a rotation gave it; none when it was packed or removed. */
  #rotated(current: number): string | undefined {
    const { inode = 0 } = this.position
    if (inode === 0 || inode === current) return undefined
    const folder = path.dirname(this.#file)
    const siblings = readdirSync(folder).filter((name) =>
      name.startsWith(path.basename(this.#file)),
    )
    return siblings
      .map((name) => path.join(folder, name))
      .find((name) => statSync(name, { throwIfNoEntry: false })?.ino === inode)
  }

  #read(file: string, now: number): AcceptedLine[] {
    const descriptor = openSync(file, 'r')
    try {
      const { ino, size } = fstatSync(descriptor)
      // At first only what is new counts: an old file tells of logins long ago.
      const { inode = ino, offset = size } = this.position
      const start = inode !== ino || offset > size ? 0 : offset
      const buffer = Buffer.alloc(Math.min(size - start, MAX_READ_BYTES))
      const length = readSync(descriptor, buffer, 0, buffer.length, start)
      const text = buffer.subarray(0, length)
      const end = text.lastIndexOf(10) + 1
      // A line beyond all measure is passed over.
      const taken = end === 0 && length === MAX_READ_BYTES ? length : end
      this.position = { inode: ino, offset: start + taken }
      const lines = text.subarray(0, end).toString().split('\n')
      return lines.flatMap((line) => parseLogLine(line, this.#boot, now) ?? [])
    } finally {
      closeSync(descriptor)
    }
  }
}

/** Through journalctl(1), which is started again when it ends. */
class JournalFollower implements LogFollower {
  position: LogPosition
  #child: ChildProcess | undefined
  #lines: string[] = []
  #paused: (() => void) | undefined

  constructor(from: LogPosition) {
    this.position = from
  }

  poll(): AcceptedLine[] {
    if (!this.#child) this.#start()
    const lines = this.#lines
    this.#lines = []
    this.#paused?.()
    const cursor = lines.findLast((line) => line.includes('"__CURSOR"'))
    if (cursor !== undefined) this.position = { cursor: cursorOf(cursor) ?? '' }
    return lines.flatMap((line) => parseJournalEntry(line) ?? [])
  }

  close(): void {
    this.#child?.kill()
  }

  #start(): void {
    const { cursor } = this.position
    const from = cursor ? [`--after-cursor=${cursor}`] : ['--lines=0']
    const program = ['_COMM=sshd', '+', '_COMM=sshd-session']
    const words = ['--follow', '--output=json', '--quiet', '--no-pager', ...from, ...program]
    const child = spawn('journalctl', words, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.#child = child
    const over = () => {
      if (this.#child === child) this.#child = undefined
    }
    child.once('error', over)
    child.once('exit', over)
    const reader = createInterface({ input: child.stdout })
    this.#paused = () => reader.resume()
    reader.on('line', (line) => {
      if (this.#lines.push(line) >= MAX_WAITING) reader.pause()
    })
  }
}

function cursorOf(line: string): string | undefined {
  try {
    return (JSON.parse(line) as { readonly __CURSOR?: string }).__CURSOR
  } catch {
    return undefined
  }
}
