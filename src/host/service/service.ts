/**
 * `postern-host service`: keeps KRL, CAs, drop-in and host certificates as the server says, tells the server of logins, and
 * goes on with what it has while the server is away.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { HostConfig } from '../config.ts'
import { Server } from '../enrolment/server.ts'
import { readHostKeys } from '../enrolment/signed-request.ts'
import { type HostState, readHostState, writeHostState } from '../enrolment/state.ts'
import { reportLogins } from '../login/report-logins.ts'
import { undoJournal } from '../setup/journal.ts'
import { fetchBundle, stateAfter, writeUserCas } from './bundle.ts'
import { renewCertificates } from './certificate.ts'
import { refreshDropIn, reloadIfDue } from './drop-in.ts'
import { refreshKrl } from './krl.ts'
import { statusOf, writeStatus } from './status.ts'

/** Twice as long each time while nothing changes. */
const BUNDLE_EVERY_MS = 60_000
const LONGEST_BUNDLE_PAUSE_MS = 10 * 60_000
const FIRST_PAUSE_MS = 2000
const LONGEST_PAUSE_MS = 60_000
const POLL_PAUSE_MS = 500
/** A server that answers long polls at once must not be asked all the time. */
const SHORT_POLL_MS = 5000
const SHORT_POLL_PAUSE_MS = 20_000

export interface ServiceOptions {
  readonly config: HostConfig
  /** Ends the service. */
  readonly signal: AbortSignal
  /** One line for each change. */
  readonly say: (line: string) => void
  /** One pass over everything, without waiting. */
  readonly once?: boolean
}

/** Resolves when the signal ends it; throws at once where the host is not enrolled. */
export async function runService(options: ServiceOptions): Promise<void> {
  const service = new Service(options)
  try {
    await (options.once ? service.once() : service.run())
  } finally {
    service.close()
  }
}

class Service {
  readonly #options: ServiceOptions
  readonly #server: Server
  readonly #started = new Date().toISOString()
  readonly #errors = new Map<string, string>()
  #alarms: readonly string[] = []
  #state: HostState
  #lastContact: number | undefined

  constructor(options: ServiceOptions) {
    this.#options = options
    const state = readState()
    if (state.mount !== options.config.mountPoint) {
      throw new Error(`the host is enrolled at the mount ${state.mount}: see ssh_mount_point`)
    }
    this.#state = state
    this.#server = new Server(options.config)
    // The long poll would go on for a minute.
    options.signal.addEventListener('abort', () => this.#server.close(), { once: true })
  }

  async run(): Promise<void> {
    await Promise.all([
      this.#repeatBundle(),
      this.#repeat('krl', (isFirst) => this.#krl(!isFirst)),
      this.#logins(this.#options.signal),
    ])
  }

  async once(): Promise<void> {
    await this.#try('bundle', async () => void (await this.#bundle()))
    await this.#try('krl', async () => void (await this.#krl(false)))
    await this.#logins()
    const failed = [...this.#errors].map(([what, text]) => `${what}: ${text}`)
    if (failed.length > 0) throw new Error(failed.join('; '))
  }

  close(): void {
    this.#server.close()
  }

  #repeatBundle(): Promise<void> {
    let pause = BUNDLE_EVERY_MS
    return this.#repeat('bundle', async () => {
      const isNew = await this.#bundle()
      pause = isNew ? BUNDLE_EVERY_MS : Math.min(2 * pause, LONGEST_BUNDLE_PAUSE_MS)
      return pause
    })
  }

  /**
   * Again and again, with the pause in milliseconds that the work gives; after a failure with growing ones, so that a server
   * that comes back is not run over by all its hosts at once.
   */
  async #repeat(what: string, work: (isFirst: boolean) => Promise<number>) {
    const { signal } = this.#options
    let failurePause = FIRST_PAUSE_MS
    for (let isFirst = true; !signal.aborted; ) {
      let pause = failurePause
      const isDone = await this.#try(what, async () => {
        pause = await work(isFirst)
      })
      if (isDone) isFirst = false
      failurePause = isDone ? FIRST_PAUSE_MS : Math.min(2 * failurePause, LONGEST_PAUSE_MS)
      await delay(pause * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
    }
  }

  /** False when it failed, which is told once for each new reason. */
  async #try(what: string, work: () => Promise<void>): Promise<boolean> {
    let failure: string | undefined
    try {
      // Another process may have enrolled the host anew.
      this.#state = readState()
      await work()
      this.#lastContact = Date.now()
    } catch (error) {
      failure = (error as Error).message
    }
    if (this.#options.signal.aborted) return false
    if (failure !== undefined && this.#errors.get(what) !== failure) {
      this.#options.say(`${what}: ${failure}`)
    }
    if (failure === undefined && this.#errors.delete(what))
      this.#options.say(`${what}: works again`)
    if (failure !== undefined) this.#errors.set(what, failure)
    const facts = {
      started: this.#started,
      errors: Object.fromEntries(this.#errors),
      lastContact: this.#lastContact,
    }
    const status = statusOf(this.#state, facts, Date.now())
    // A bundle may name a KRL that is on its way.
    if (what === 'krl') this.#tellAlarms(status.alarms)
    try {
      writeStatus(status)
    } catch (error) {
      // Whatever else can't be told, sshd gets its files.
      this.#options.say(`no status can be written: ${(error as Error).message}`)
    }
    return failure === undefined
  }

  #tellAlarms(alarms: readonly string[]): void {
    const { say } = this.#options
    for (const alarm of alarms) if (!this.#alarms.includes(alarm)) say(`ALARM: ${alarm}`)
    for (const alarm of this.#alarms) if (!alarms.includes(alarm)) say(`no longer: ${alarm}`)
    this.#alarms = alarms
  }

  #logins(signal?: AbortSignal): Promise<void> {
    const { config, say } = this.#options
    const attempt = (work: () => Promise<void>) => this.#try('logins', work)
    const state = () => this.#state
    return reportLogins(
      { server: this.#server, source: config.logSource, state, attempt, say },
      signal,
    )
  }

  /** True when it says something new. */
  async #bundle(): Promise<boolean> {
    const { say } = this.#options
    const keys = readHostKeys()
    const bundle = await fetchBundle(this.#server, this.#state, keys[0], Date.now())
    // A set-up tries things out with the files that are written here.
    if (undoJournal()) say('has undone a set-up that was cut off')
    const { bundle: before, serverKey } = this.#state
    this.#keep(stateAfter(this.#state, bundle))
    const isNew = bundle.version !== before?.version
    if (isNew) say(`has bundle ${bundle.version}`)
    if (bundle.serverKey !== serverKey) say("knows the server's new key")
    if (writeUserCas(bundle)) say(`trusts ${bundle.userCas.length} CA(s) for users`)
    const { files, renewed, failure } = await renewCertificates(this.#server, this.#state, keys, {
      isOffered: bundle.hostCertificates,
      now: Date.now(),
    })
    if (renewed > 0) say(`has ${renewed} new host certificate(s)`)
    if (await refreshDropIn(bundle, files)) say("has changed sshd's configuration")
    await reloadIfDue()
    if (failure) throw failure
    return isNew
  }

  /** How long to wait before the next time. */
  async #krl(waits: boolean): Promise<number> {
    const started = performance.now()
    const isNew = await refreshKrl({
      server: this.#server,
      state: () => this.#state,
      keep: (krl) => this.#keep({ ...this.#state, krl }),
      waits,
      now: Date.now,
    })
    if (isNew) this.#options.say(`has KRL ${this.#state.krl?.version}`)
    const hasWaited = performance.now() - started > SHORT_POLL_MS
    if (isNew || !waits) return POLL_PAUSE_MS
    // The server ends waits together: hosts that ask again at once cost it half of what they do one by one.
    return hasWaited ? 0 : SHORT_POLL_PAUSE_MS
  }

  #keep(state: HostState): void {
    if (isDeepStrictEqual(state, this.#state)) return
    if (!isDeepStrictEqual(readState(), this.#state)) {
      throw new Error('the host was enrolled anew meanwhile')
    }
    writeHostState(state)
    this.#state = state
  }
}

function readState(): HostState {
  const state = readHostState()
  if (state) return state
  throw new Error('this host is not enrolled: postern-host enroll, or postern host setup')
}
