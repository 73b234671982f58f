/**
 * What set-up is about to change, on disk before it is changed, so that whoever comes next puts it back when set-up
 * was killed. There is a journal only while a set-up is unfinished.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { removeFile, removeUnfinished, writeFileAtomically } from '../atomic-file.ts'
import { hostPaths } from '../paths.ts'
import { reloadSshd } from '../sshd/reload.ts'

interface SavedFile {
  readonly file: string
  /** Base64; absent where there was no file. */
  readonly content?: string
  readonly mode: number
}

interface Journal {
  readonly pid: number
  readonly pidFile: string
  /** sshd's configuration first: what it names is taken away only when it no longer names it. */
  readonly config: readonly SavedFile[]
  readonly named: readonly SavedFile[]
  /** That were not there. */
  readonly folders: readonly string[]
}

const JOURNAL = path.join(hostPaths.stateFolder, 'setup-journal.json')
/** A reload takes some milliseconds, in which sshd still reads the files of its old configuration. */
const RELOAD_MS = 500

/** Saves the files as they are. Throws when another set-up is at work. */
export function beginJournal(options: {
  readonly config: readonly string[]
  readonly named: readonly string[]
  readonly folders: readonly string[]
  readonly pidFile: string
}): void {
  if (existsSync(JOURNAL)) throw new Error('an unfinished set-up is in the way')
  const journal: Journal = {
    pid: process.pid,
    pidFile: options.pidFile,
    config: options.config.map(savedFile),
    named: options.named.map(savedFile),
    folders: options.folders.filter((folder) => !existsSync(folder)),
  }
  mkdirSync(hostPaths.stateFolder, { recursive: true, mode: 0o700 })
  writeFileAtomically(JOURNAL, JSON.stringify(journal), 0o600)
}

/** Set-up has done all it wanted: from here on its changes stay. */
export function endJournal(): void {
  removeFile(JOURNAL)
}

/** Whether a set-up was cut off, or is at work. */
export function hasJournal(): boolean {
  return existsSync(JOURNAL)
}

/**
 * Puts everything back as the journal says, and has sshd read it; false when there is no journal. May be cut off and
 * run again. Throws while the set-up is still at work in another process.
 */
export function undoJournal(): boolean {
  if (!hasJournal()) return false
  const journal: Journal = JSON.parse(readFileSync(JOURNAL, 'utf8'))
  if (journal.pid !== process.pid && isSetup(journal.pid)) {
    throw new Error(`another set-up is at work: process ${journal.pid}`)
  }
  const isOther = journal.config.some(isChanged)
  journal.config.forEach(restore)
  if (isOther) reloadAndSettle(journal.pidFile)
  journal.named.forEach(restore)
  for (const folder of journal.folders.toReversed()) {
    if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder)
  }
  endJournal()
  return true
}

/** Reloads sshd and waits until it no longer looks at the files of its old configuration. */
export function reloadAndSettle(pidFile: string): boolean {
  const isRunning = reloadSshd(pidFile)
  if (isRunning) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RELOAD_MS)
  return isRunning
}

function savedFile(file: string): SavedFile {
  if (!existsSync(file)) return { file, mode: 0o644 }
  const content = readFileSync(file).toString('base64')
  return { file, content, mode: statSync(file).mode & 0o7777 }
}

function isChanged({ file, content }: SavedFile): boolean {
  return savedFile(file).content !== content
}

function restore(saved: SavedFile): void {
  const { file, content, mode } = saved
  if (content !== undefined) {
    if (isChanged(saved)) writeFileAtomically(file, Buffer.from(content, 'base64'), mode)
    else removeUnfinished(file)
  } else if (existsSync(path.dirname(file))) {
    removeFile(file)
  }
}

function isSetup(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('setup')
  } catch {
    return false
  }
}
