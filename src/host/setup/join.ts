/** Level 1 of set-up: this host is enrolled at the server, and learns from its signed bundle what it is (protocols 5.4, 5.6). */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { BundleStatement } from '../../ssh/host/statement.ts'
import { fingerprint } from '../../ssh/key/fingerprint.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import { type HostConfig, parseHostConfig } from '../config.ts'
import { enrolHost } from '../enrolment/enroll.ts'
import { Server } from '../enrolment/server.ts'
import { readHostKeys } from '../enrolment/signed-request.ts'
import { readHostState, writeHostState } from '../enrolment/state.ts'
import { hostPaths } from '../paths.ts'
import { fetchBundle, readIfThere, stateAfter } from '../service/bundle.ts'
import { runService } from '../service/service.ts'
import type { Status } from '../service/status.ts'

const UNIT = 'postern-host.service'
const STOP_MS = 10_000
const STOP_STEP_MS = 50

/** By its first line, leaving knows that the file is no person's. */
export const CONFIG_HEADER = '# Made by postern host setup.'

export interface JoinRequest {
  /** Where the server is; used where there is no config yet, or only one of an earlier set-up. */
  readonly address: string
  /** Somebody has said so: it is not the address that is taken when nobody does. */
  readonly isServerNamed: boolean
  readonly mount: string
  readonly caFile: string | undefined
  /** Without it the host has to be enrolled already. */
  readonly joinToken: string | undefined
  /** The id that the host would like to have. */
  readonly name: string
  /** The server's identity key: a line of authorized_keys, or its fingerprint. */
  readonly serverKey: string | undefined
  readonly replaces: boolean
  readonly say: (line: string) => void
}

export interface Joined {
  readonly bundle: BundleStatement
  /** To be called once sshd is set up: fetches what else there is, and starts the service. */
  readonly finish: () => Promise<void>
}

/** Throws when the server refuses, or an operator has to approve first: then this is to be called again. */
export async function joinServer(request: JoinRequest): Promise<Joined> {
  const { joinToken, name, serverKey, replaces, say } = request
  const text = configText(request)
  const config = parseHostConfig(text, request.address.startsWith('http:'))
  const enrolled =
    joinToken === undefined
      ? undefined
      : await enrolHost({ config, joinToken, name, serverKey, replaces })
  // Not before: an address that was mistyped would be used ever after.
  writeConfig(text)
  if (enrolled) {
    const { state, isPending, serverFingerprint, isServerKnown } = enrolled
    say(`enrolled as ${state.hostId} at ${state.issuer}`)
    if (!isServerKnown) {
      say(
        `the server's key is ${serverFingerprint}: compare it with postern read ${state.mount}/identity`,
      )
    }
    if (isPending) {
      const own = readHostKeys()[0].publicKey.blob
      throw new Error(
        `an operator has to approve this host: postern write ${state.mount}/hosts/${state.hostId}/approve fingerprint=${fingerprint(own)}; then run postern host setup again`,
      )
    }
  }
  const state = readHostState()
  if (!state) throw new Error('this host is not enrolled: -join-token=- takes a token for that')
  const [key] = readHostKeys()
  const server = new Server(config)
  try {
    const bundle = await fetchBundle(server, state, key, Date.now())
    writeHostState(stateAfter(state, bundle))
    return { bundle, finish: () => finish(config, say) }
  } finally {
    server.close()
  }
}

/** A person's config stays. One of an earlier set-up may name the server that is to be forgotten: no token is for that. */
function configText({ address, isServerNamed, joinToken, mount, caFile }: JoinRequest): string {
  const present = readIfThere(hostPaths.config)
  const givesWay =
    joinToken !== undefined && isServerNamed && present?.startsWith(CONFIG_HEADER) === true
  if (present !== undefined && !givesWay) return present
  const values = { vault_addr: address, ssh_mount_point: mount, ca_cert: caFile }
  const lines = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} = ${JSON.stringify(value)}\n`],
  )
  return `${CONFIG_HEADER}\n${lines.join('')}`
}

function writeConfig(text: string): void {
  if (readIfThere(hostPaths.config) === text) return
  mkdirSync(path.dirname(hostPaths.config), { recursive: true, mode: 0o755 })
  writeFileAtomically(hostPaths.config, text, 0o644)
}

async function finish(config: HostConfig, say: JoinRequest['say']): Promise<void> {
  const { signal } = new AbortController()
  try {
    await runService({ config, signal, say: (line) => say(`this host ${line}`), once: true })
  } catch {
    // Each has been told. sshd lets in whom it should: the rest comes with the service.
    say('postern-host service will try that again')
  }
  const hasUnit = spawnSync('systemctl', ['cat', UNIT]).status === 0
  if (hasUnit && spawnSync('systemctl', ['enable', '--now', UNIT]).status === 0) {
    say(`${UNIT} keeps it so`)
  } else {
    say('postern-host service has to run from now on: it brings revocations to this host')
  }
}

/** It would put the files back that leaving removes. */
export async function stopService(): Promise<void> {
  spawnSync('systemctl', ['disable', '--now', UNIT])
  const pid = runningService()
  if (pid === undefined) return
  process.kill(pid)
  for (let waited = 0; runningService() === pid; waited += STOP_STEP_MS) {
    if (waited > STOP_MS) throw new Error(`postern-host service does not end: process ${pid}`)
    await delay(STOP_STEP_MS)
  }
}

/** Its process, by what it says of itself. */
export function runningService(): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(hostPaths.status, 'utf8')) as Status
    return /\0service\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ? pid : undefined
  } catch {
    return undefined
  }
}
