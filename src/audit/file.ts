/**
 * The file device (contract 10.2): lines appended to a file, or to standard output. A file that can't be opened or
 * written fails the lines, and is tried again with the next one.
 */
import { constants, fdatasync, write } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { getSystemErrorMessage, promisify } from 'node:util'
import type { AuditDevice } from './device.ts'
import { LineWriter, type Sink } from './line-writer.ts'

export interface FileOptions {
  /** Absolute. */
  readonly file: string
  /** Permission bits; undefined leaves them as they are. */
  readonly mode: number | undefined
  readonly prefix: string
  readonly sync: boolean
  /** False refuses a symbolic link in the file's place. */
  readonly followsLinks: boolean
}

const DEFAULT_MODE = 0o600
const STDOUT_FD = 1
const OPEN_DEADLINE_MS = 2_000
const NEWLINE = 0x0a

const synced = promisify(fdatasync)

/** Lines to a file. */
export class FileDevice implements AuditDevice {
  readonly #options: FileOptions
  #writer: LineWriter | undefined
  #opening: Promise<LineWriter> | undefined
  #isClosed = false

  constructor(options: FileOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    await this.#openAnew()
  }

  write(line: string): Promise<void> {
    const text = `${this.#options.prefix}${line}\n`
    return this.#writer?.write(text) ?? this.#openAnew().then((writer) => writer.write(text))
  }

  async reopen(): Promise<void> {
    await this.#openAnew()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#opening?.catch(() => {})
    await this.#writer?.close()
  }

  /** Requests that come meanwhile share one attempt. */
  #openAnew(): Promise<LineWriter> {
    if (this.#isClosed) return Promise.reject(new Error('the audit device is closed'))
    this.#opening ??= this.#exchange().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #exchange(): Promise<LineWriter> {
    const writer = await inTime(openFile(this.#options))
    const before = this.#writer
    this.#writer = writer
    // Its lines may still be under way; nobody has to wait for them.
    void before?.close()
    return writer
  }
}

/** Lines to the standard output of the server. */
export class StdoutDevice implements AuditDevice {
  readonly #prefix: string
  readonly #writer = new LineWriter({ write: (bytes) => put(STDOUT_FD, bytes), isStream: true })

  constructor({ prefix }: { readonly prefix: string }) {
    this.#prefix = prefix
  }

  open(): Promise<void> {
    return Promise.resolve()
  }

  write(line: string): Promise<void> {
    return this.#writer.write(`${this.#prefix}${line}\n`)
  }

  reopen(): Promise<void> {
    return Promise.resolve()
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }
}

/** Takes every line and keeps none. */
export const discardDevice: AuditDevice = {
  open: () => Promise.resolve(),
  write: () => Promise.resolve(),
  reopen: () => Promise.resolve(),
  close: () => Promise.resolve(),
}

async function openFile(options: FileOptions): Promise<LineWriter> {
  const { file, mode, sync } = options
  let handle: FileHandle | undefined
  try {
    handle = await openOrCreate(options)
    const { fd } = handle
    const stat = await handle.stat()
    const isFile = stat.isFile()
    // A device node such as /dev/null belongs to the system.
    if (isFile && mode !== undefined && (stat.mode & 0o777) !== mode) await handle.chmod(mode)
    const isTorn = isFile && stat.size > 0 && (await lastByte(file, stat.size)) !== NEWLINE
    const sink: Sink = {
      write: (bytes) => put(fd, bytes).catch((error) => Promise.reject(told(file, error))),
      ...(sync && isFile ? { sync: () => synced(fd) } : {}),
      isStream: !isFile,
      close: handle.close.bind(handle),
    }
    return new LineWriter(sink, { isTorn })
  } catch (error) {
    await handle?.close()
    throw told(file, error as NodeJS.ErrnoException)
  }
}

async function openOrCreate({ file, mode, followsLinks }: FileOptions): Promise<FileHandle> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOFOLLOW } = constants
  // Without O_NONBLOCK, opening a named pipe would wait for its reader.
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW)
  const attempt = () => open(file, flags, mode ?? DEFAULT_MODE)
  return await attempt().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    await makeFolder(path.dirname(file), mode ?? DEFAULT_MODE)
    return await attempt()
  })
}

/** Step by step: the recursive `mkdir` of Node 24 never ends below /proc. */
async function makeFolder(folder: string, fileMode: number): Promise<void> {
  // Whoever may read the file may enter its folder.
  const mode = fileMode | 0o700 | ((fileMode & 0o044) >> 2)
  try {
    await mkdir(folder, { mode })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const parent = path.dirname(folder)
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || parent === folder) throw error
    await makeFolder(parent, fileMode)
    await mkdir(folder, { mode }).catch(unlessItExists)
  }
}

function unlessItExists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

/** Undefined where the file may not be read. */
async function lastByte(file: string, size: number): Promise<number | undefined> {
  const handle = await open(file, 'r').catch(() => undefined)
  if (!handle) return undefined
  try {
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
    return buffer[0]
  } finally {
    await handle.close()
  }
}

function put(fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error) reject(error)
      else resolve(written)
    })
  })
}

/** The error in the words that clients of this API know: `open /x: permission denied`. Keeps the code. */
function told(file: string, error: NodeJS.ErrnoException): Error {
  const { errno, syscall, code, path: place = file } = error
  if (errno === undefined || syscall === undefined) return error
  const shown = new Error(`${syscall} ${place}: ${getSystemErrorMessage(errno)}`, { cause: error })
  return Object.assign(shown, { code })
}

/** An unreachable network file system must not hold requests for longer than a write may. */
async function inTime(opening: Promise<LineWriter>): Promise<LineWriter> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      void opening.then((late) => late.close()).catch(() => {})
      reject(new Error('opening the audit file takes too long'))
    }, OPEN_DEADLINE_MS)
  })
  return await Promise.race([opening, deadline]).finally(() => clearTimeout(timer))
}
