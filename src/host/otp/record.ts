/**
 * What an accepted OTP leaves for PAM's session phase, where nothing else tells how somebody came in: one file per
 * login below /run/postern/otp, readable by root alone, for the sshd process that asked and a session within 60 s (hosts 1.12).
 */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { uuid } from '../../random.ts'
import { hostPaths } from '../paths.ts'

/** Where `verify-otp` puts the records, and the session's hook looks for them. */
export const OTP_LOGINS: string = path.join(hostPaths.runFolder, 'otp')

/** Between the password and the session that it opens. */
const LIFE_MS = 60_000
/** A session may be looked at late: when the service was away. */
const KEPT_MS = 24 * 60 * 60_000
const MAX_KEPT = 4000
/** The PAM process of sshd, its monitor, the listener, and what started that. */
const MAX_PROCESSES = 5
/** When it was made, and by chance; one that is being written has a dot in front. */
const NAME = /^\.?([0-9]{13})-[0-9a-f-]{36}$/

/** A process, told apart from a later one with its number. */
export interface Process {
  readonly pid: number
  /** Clock ticks between boot and its start: field 22 of /proc/<pid>/stat. */
  readonly start: number
}

export interface OtpLogin {
  /** PAM_USER and PAM_RHOST of the authentication. */
  readonly user: string
  readonly rhost: string
  /** Hex. The password itself is spent. */
  readonly otpSha256: string
  readonly role: string
  /** Lease of the password, where the server told it: it does so to enrolled hosts. */
  readonly lease?: string | undefined
  /** The processes that asked, the nearest first: the one that opens the session is among them. */
  readonly processes: readonly Process[]
}

/** Who opens a session. */
export interface Session {
  readonly user: string
  readonly rhost: string
  /** The parent of the program that PAM runs: sshd's process of this connection. */
  readonly process: Process
}

/** The process and those above it, without the first of the machine. Empty where /proc does not tell. */
export function processChain(pid: number): Process[] {
  const chain: Process[] = []
  for (let next = pid; next > 1 && chain.length < MAX_PROCESSES; ) {
    const found = readProcess(next)
    if (!found) break
    chain.push({ pid: next, start: found.start })
    next = found.parent
  }
  return chain
}

function readProcess(pid: number): { readonly parent: number; readonly start: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name stands in parentheses and may hold blanks and parentheses itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(fields[1]), start: Number(fields[19]) }
  } catch {
    return undefined
  }
}

/** Puts a record where its session will be looked for, and removes those that nobody came for. Throws where it can't. */
export function putOtpLogin(folder: string, login: OtpLogin, now: number): void {
  // The one above holds what others may read.
  mkdirSync(path.dirname(folder), { recursive: true, mode: 0o755 })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  assertOwn(folder)
  const names = readdirSync(folder).sort()
  for (const [at, name] of names.entries()) {
    const isTooMany = names.length - at >= MAX_KEPT
    if (isTooMany || !isWithin(KEPT_MS, name, now)) remove(path.join(folder, name))
  }
  const name = `${String(now).padStart(13, '0')}-${uuid()}`
  const draft = path.join(folder, `.${name}`)
  writeFileSync(draft, JSON.stringify(login), { mode: 0o600, flag: 'wx' })
  renameSync(draft, path.join(folder, name))
}

/**
 * Takes the record of the password with which the user of a session of this time, in milliseconds, came in; undefined
 * where there is none. It is given once. Never throws.
 */
export function takeOtpLogin(folder: string, session: Session, at: number): OtpLogin | undefined {
  try {
    assertOwn(folder)
    const names = readdirSync(folder).filter((name) => name[0] !== '.')
    // Of several tries on one connection the last one let the user in.
    for (const name of names.sort().reverse()) {
      if (!isWithin(LIFE_MS, name, at)) continue
      const file = path.join(folder, name)
      const login = readLogin(file)
      if (login && isOf(login, session) && remove(file)) return login
    }
  } catch {
    // No folder: no password was accepted since the machine started.
  }
  return undefined
}

function isOf(login: OtpLogin, { user, rhost, process }: Session): boolean {
  if (login.user !== user || login.rhost !== rhost) return false
  return login.processes.some(({ pid, start }) => pid === process.pid && start === process.start)
}

function readLogin(file: string): OtpLogin | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as OtpLogin
  } catch {
    return undefined
  }
}

/** Also false for a name that is none of ours. */
function isWithin(milliseconds: number, name: string, time: number): boolean {
  return Math.abs(time - Number(NAME.exec(name)?.[1])) < milliseconds
}

/** False where somebody else has removed it. */
function remove(file: string): boolean {
  try {
    unlinkSync(file)
    return true
  } catch {
    return false
  }
}

/** Throws where others than this user could have put records in. */
function assertOwn(folder: string): void {
  const stat = lstatSync(folder)
  const isOwn = stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0
  if (!isOwn) throw new TypeError(`${folder} belongs to somebody else`)
}
