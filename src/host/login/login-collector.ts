/**
 * Makes numbered events of what PAM's hook and sshd's log tell: each login once, joined by sshd's process, and its end, be it
 * that the process is gone. All that is not in the spool yet is found again after a crash.
 */
import { existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { SshFormatError } from '../../errors.ts'
import { eventText, type LoginEvent } from '../../ssh/host/login-event.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import { OTP_LOGINS, processChain, takeOtpLogin } from '../otp/record.ts'
import { hostPaths } from '../paths.ts'
import type { AcceptedLine } from './accepted-line.ts'
import { readInbox, type SessionRecord } from './inbox.ts'
import { followLog, type LogFollower, type LogPosition, type LogSource } from './log-follower.ts'
import { Spool } from './spool.ts'

/** How long a line of the log waits for PAM's hook, which tells more. */
const HOOK_DELAY_MS = 2000
/** Hook and log tell of one login within this time. */
const SAME_LOGIN_MS = 120_000

type Base = Pick<LoginEvent, 'session' | 'user' | 'from' | 'port' | 'service' | 'method'>

/** A session that goes on. */
interface OpenSession extends Base {
  readonly boot: string
  readonly pid: number
  readonly start: number
}

interface Kept {
  readonly sessions: readonly OpenSession[]
  readonly log: LogPosition
}

export interface CollectorOptions {
  readonly source: LogSource
  readonly spoolFolder?: string
  readonly otpLogins?: string
  readonly bootId?: string
}

export class LoginCollector {
  readonly spool: Spool
  /** Of this start of the machine, without hyphens. */
  readonly bootId: string
  readonly #folder: string
  readonly #otpLogins: string
  readonly #file: string
  readonly #log: LogFollower
  readonly #open: Map<string, OpenSession>
  /** Logins that were told, by process, so that a line of the log finds them. */
  readonly #told = new Map<string, number>()
  /** With the position before it in the log. */
  #waiting: { readonly line: AcceptedLine; readonly before: LogPosition }[] = []
  /** Of what the inbox says it had to drop. */
  #skipped = 0
  #kept = ''

  constructor(options: CollectorOptions) {
    this.#folder = options.spoolFolder ?? hostPaths.spoolFolder
    this.#otpLogins = options.otpLogins ?? OTP_LOGINS
    this.bootId = options.bootId ?? currentBoot()
    this.spool = new Spool(this.#folder)
    this.#file = path.join(this.#folder, 'sessions.json')
    const { sessions, log } = readKept(this.#file)
    this.#open = new Map(sessions.map((session) => [session.session, session]))
    this.#log = followLog(options.source, log, this.bootId)
  }

  /** Puts into the spool what is new. Throws where the disk does not take it; nothing is lost then. */
  collect(now: number): void {
    const inbox = readInbox(path.join(this.#folder, 'inbox'))
    // Once, though the same ones may be read again and again.
    this.spool.skip(inbox.dropped - this.#skipped)
    this.#skipped = inbox.dropped
    for (const record of inbox.records) passOver(() => this.#takeRecord(record))
    const before = this.#log.position
    this.#waiting.push(...this.#log.poll(now).map((line) => ({ line, before })))
    this.#takeLines(now)
    this.#endDead(now)
    this.#keep()
    inbox.remove()
    this.#skipped = 0
    for (const [key, at] of this.#told) if (at < now - SAME_LOGIN_MS) this.#told.delete(key)
  }

  close(): void {
    this.#log.close()
  }

  #takeRecord(record: SessionRecord): void {
    // `su`, `cron` and others have sessions too.
    if (!record.service.startsWith('sshd')) return
    const { boot, pid, start } = record
    const session = `${boot}.${pid}.${start}`
    if (record.type === 'close') {
      this.#logout(session, record.at)
      return
    }
    const { user, rhost, method } = record
    const process = { pid, start }
    const otp =
      method === 'publickey'
        ? undefined
        : takeOtpLogin(this.#otpLogins, { user, rhost, process }, record.at)
    this.#login({ ...record, session, otpLease: otp?.lease })
  }

  #takeLines(now: number): void {
    const all = this.#waiting
    const young: typeof all = []
    let at = 0
    try {
      for (const waiting of all) {
        const { line } = waiting
        const told = this.#told.get(`${line.boot}.${line.pid}`)
        const isTold = told !== undefined && Math.abs(told - line.at) < SAME_LOGIN_MS
        // The clock may have been put back meanwhile.
        if (!isTold && Math.abs(now - line.at) < HOOK_DELAY_MS) young.push(waiting)
        else if (!isTold) passOver(() => this.#takeLine(line))
        at++
      }
    } finally {
      this.#waiting = [...young, ...all.slice(at)]
    }
  }

  #takeLine(line: AcceptedLine): void {
    const { boot, pid } = line
    // Process ids come back: what runs under it now may have begun later than the line.
    const start = boot === this.bootId ? (processChain(pid)[0]?.start ?? 0) : 0
    this.#login({ ...line, start, service: 'sshd', session: `${boot}.${pid}.${start}` })
  }

  #login(
    login: Omit<OpenSession & LoginEvent, 'seq' | 'type'> & {
      readonly otpLease?: string | undefined
    },
  ): void {
    const { session, port, method, at, certificate, boot, pid, start } = login
    if (this.#open.has(session)) return
    const base: Base = {
      session,
      user: eventText(login.user) || 'unknown',
      from: eventText(login.from) || 'unknown',
      port,
      service: eventText(login.service),
      method,
    }
    const { fingerprint, otpLease } = login
    this.spool.append({
      ...base,
      type: 'login',
      at: Math.floor(at / 1000),
      ...(certificate && {
        certificate: { ...certificate, keyId: eventText(certificate.keyId, 1024) },
      }),
      fingerprint,
      otpLease,
    })
    this.#open.set(session, { ...base, boot, pid, start })
    this.#told.set(`${boot}.${pid}`, at)
  }

  #logout(session: string, at: number): void {
    const open = this.#open.get(session)
    if (!open) return
    const { boot: _, pid: _pid, start: _start, ...base } = open
    this.spool.append({ ...base, type: 'logout', at: Math.floor(at / 1000) })
    this.#open.delete(session)
  }

  /** Sessions whose process is gone without a word: killed, or the machine was started again. */
  #endDead(now: number): void {
    for (const { session, boot, pid, start } of [...this.#open.values()]) {
      if (boot !== this.bootId) this.#logout(session, now - os.uptime() * 1000)
      else if (processChain(pid)[0]?.start !== start) this.#logout(session, now)
    }
  }

  #keep(): void {
    // Lines that wait are read again after a restart.
    const log = this.#waiting[0]?.before ?? this.#log.position
    const kept: Kept = { sessions: [...this.#open.values()], log }
    const text = `${JSON.stringify(kept)}\n`
    if (text === this.#kept) return
    writeFileAtomically(this.#file, text, 0o600)
    this.#kept = text
  }
}

/** What makes no event that a server would take is left out, so that the others are told. */
function passOver(take: () => void): void {
  try {
    take()
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
  }
}

function currentBoot(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '')
}

function readKept(file: string): Kept {
  try {
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Kept
  } catch {
    // As if it were lost: sessions of before are ended by the server when the machine starts anew.
  }
  return { sessions: [], log: {} }
}
