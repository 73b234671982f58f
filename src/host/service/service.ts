/**
 * `postern-host service`: keeps KRL, CAs, drop-in and host certificates as the server says, tells the server of logins, and
 * goes on with what it has while the server is away.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { HostConfig } from '../config.ts'
import { reportLogins } from '../login/report-logins.ts'
import { Server } from '../server.ts'
import { undoJournal } from '../setup/journal.ts'
import { readHostKeys } from '../signed-request.ts'
import { type HostState, readHostState, writeHostState } from '../state.ts'
import { fetchBundle, stateAfter, writeUserCas } from './bundle.ts'
import { renewCertificates } from './certificate.ts'
import { refreshDropIn, reloadIfDue } from './drop-in.ts'
import { refreshKrl } from './krl.ts'
import { statusOf, writeStatus } from './status.ts'

const BUNDLE_EVERY_MS = 5 * 60_000
const FIRST_PAUSE_MS = 2000
const LONGEST_PAUSE_MS = 60_000
/** A server that answers long polls at once must not be asked all the time. */
const SHORTEST_POLL_MS = 1000

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
      this.#repeat('bundle', BUNDLE_EVERY_MS, () => this.#bundle()),
      this.#repeat('krl', SHORTEST_POLL_MS, (isFirst) => this.#krl(!isFirst)),
      this.#logins(this.#options.signal),
    ])
  }

  async once(): Promise<void> {
    await this.#try('bundle', () => this.#bundle())
    await this.#try('krl', () => this.#krl(false))
    await this.#logins()
    const failed = [...this.#errors].map(([what, text]) => `${what}: ${text}`)
    if (failed.length > 0) throw new Error(failed.join('; '))
  }

  close(): void {
    this.#server.close()
  }

  /** Again and again; after a failure with growing pauses, so that a server that comes back is not run over. */
  async #repeat(what: string, everyMs: number, work: (isFirst: boolean) => Promise<void>) {
    const { signal } = this.#options
    let pause = FIRST_PAUSE_MS
    for (let isFirst = true; !signal.aborted; ) {
      const isDone = await this.#try(what, () => work(isFirst))
      if (isDone) isFirst = false
      const wait = isDone ? everyMs : pause
      pause = isDone ? FIRST_PAUSE_MS : Math.min(2 * pause, LONGEST_PAUSE_MS)
      await delay(wait * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {})
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
    writeStatus(statusOf(this.#state, facts, Date.now()))
    return failure === undefined
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

  async #bundle(): Promise<void> {
    const { say } = this.#options
    const keys = readHostKeys()
    const bundle = await fetchBundle(this.#server, this.#state, keys[0], Date.now())
    // A set-up tries things out with the files that are written here.
    if (undoJournal()) say('has undone a set-up that was cut off')
    const { bundle: before, serverKey } = this.#state
    this.#keep(stateAfter(this.#state, bundle))
    if (bundle.version !== before?.version) say(`has bundle ${bundle.version}`)
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
  }

  async #krl(waits: boolean): Promise<void> {
    const isNew = await refreshKrl({
      server: this.#server,
      state: () => this.#state,
      keep: (krl) => this.#keep({ ...this.#state, krl }),
      waits,
      now: Date.now,
    })
    if (isNew) this.#options.say(`has KRL ${this.#state.krl?.version}`)
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
