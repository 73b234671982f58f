/** What the service does about logins: it takes them up every second, and tells the server as soon as it answers. */
import { mkdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { version } from '../../client/version.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Server } from '../enrolment/server.ts'
import { readHostKeys } from '../enrolment/signed-request.ts'
import type { HostState } from '../enrolment/state.ts'
import { hostPaths } from '../paths.ts'
import { readIfThere } from '../service/bundle.ts'
import { defaultLogSource, type LogSource } from './log-follower.ts'
import { LoginCollector } from './login-collector.ts'
import { sendReports } from './send-reports.ts'
import { hookPlaces, sessionHook } from './session-hook.ts'

const EVERY_MS = 1000
/** Without logins the server is told this often how the host is. */
const STATE_EVERY_MS = 5 * 60_000
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

export interface LoginReporting {
  readonly server: Server
  readonly source: LogSource | undefined
  readonly state: () => HostState
  /** Does the work; false where it failed, which it has told then. */
  readonly attempt: (work: () => Promise<void>) => Promise<boolean>
  /** One line for each new reason why logins are not taken up. */
  readonly say: (line: string) => void
}

/** Resolves when the signal ends it, or after one pass without a signal. Never rejects: the service has more to do. */
export async function reportLogins(options: LoginReporting, signal?: AbortSignal): Promise<void> {
  const taking = new Taking(options)
  let [dueAt, pause] = [0, FIRST_PAUSE_MS]
  let sending: Promise<void> | undefined
  do {
    const collector = taking.collect()
    const hasNews = collector?.spool.isEmpty === false && pause === FIRST_PAUSE_MS
    // Not awaited: a server that hangs keeps no login from being taken up.
    if (collector && !sending && (hasNews || Date.now() >= dueAt)) {
      sending = send(collector, options).then((isDone) => {
        pause = isDone ? FIRST_PAUSE_MS : Math.min(2 * pause, LONGEST_PAUSE_MS)
        dueAt = Date.now() + (isDone ? STATE_EVERY_MS : pause) * (0.75 + Math.random() / 2)
        sending = undefined
      })
    }
    if (signal) await delay(EVERY_MS, undefined, { signal }).catch(() => {})
  } while (signal && !signal.aborted)
  await sending
  taking.close()
}

function send(collector: LoginCollector, options: LoginReporting): Promise<boolean> {
  return options.attempt(async () => {
    const { clusterId, hostId, krl } = options.state()
    const [key] = readHostKeys()
    await sendReports(
      collector.spool,
      (body) => options.server.ask({ key, clusterId, hostId }, 'POST', 'host/report', body),
      {
        agent_version: version,
        boot_id: collector.bootId,
        ...(krl && { krl_version: krl.version }),
      },
    )
  })
}

/** A full disk, for one, is told once, and tried again. */
class Taking {
  readonly #options: LoginReporting
  #collector: LoginCollector | undefined
  #failure: string | undefined

  constructor(options: LoginReporting) {
    this.#options = options
  }

  /** Undefined where nothing can be taken up. */
  collect(): LoginCollector | undefined {
    const before = this.#failure
    this.#failure = undefined
    try {
      if (!this.#collector) {
        writeHook()
        const source = this.#options.source ?? defaultLogSource()
        this.#collector = new LoginCollector({ source })
      }
      this.#collector.collect(Date.now())
    } catch (error) {
      this.#failure = (error as Error).message
      if (this.#failure !== before) {
        this.#options.say(`logins can't be taken up: ${this.#failure}`)
      }
    }
    return this.#collector
  }

  close(): void {
    this.#collector?.close()
  }
}

function writeHook(): void {
  mkdirSync(hookPlaces.inbox, { recursive: true, mode: 0o700 })
  const text = sessionHook(hookPlaces)
  if (readIfThere(hostPaths.sessionHook) === text) return
  writeFileAtomically(hostPaths.sessionHook, text, 0o700)
}
