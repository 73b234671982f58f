/** The server from this host: reached, on time, with the CAs and the KRL that the host has (protocols 5.4, 5.6). */
import { existsSync, readFileSync } from 'node:fs'
import type { Reply } from '../../client/reply.ts'
import { parseHostConfig } from '../config.ts'
import { Server } from '../enrolment/server.ts'
import { readHostState } from '../enrolment/state.ts'
import { hostPaths } from '../paths.ts'
import { alarmsOf } from '../service/status.ts'
import { runningService } from '../setup/join.ts'
import { type Finding, fault, note, warning } from './finding.ts'

/** A host that is further off has its requests refused. */
const MAX_SKEW_SECONDS = 60
const NOTABLE_SKEW_SECONDS = 5
export const PAM_FILE = '/etc/pam.d/sshd'
const START = 'systemctl enable --now postern-host'

/** What is known without asking anybody. */
export function checkService(now: number): Finding[] {
  const state = readHostState()
  if (!state) {
    return [
      note(
        'service',
        'not enrolled (level 0): no revocation reaches this host',
        'postern host setup -join-token=-',
      ),
    ]
  }
  return [
    ...alarmsOf(state, now).map((text) => fault('service', text, START)),
    ...(runningService() === undefined
      ? [warning('service', 'postern-host service is not running', START)]
      : []),
    ...(hasSessionHook()
      ? []
      : [
          note(
            'logins',
            `${PAM_FILE} does not tell of sessions`,
            `session optional pam_exec.so quiet /bin/sh ${hostPaths.sessionHook}`,
          ),
        ]),
  ]
}

/** Whether PAM tells the service who logs in and out. */
export function hasSessionHook(): boolean {
  return existsSync(PAM_FILE) && readFileSync(PAM_FILE, 'utf8').includes(hostPaths.sessionHook)
}

/** Asks for the CAs. A host without agent needs no server, and has `ask` only where somebody named one. */
export async function checkServer(ask: (() => Promise<Reply>) | undefined): Promise<Finding[]> {
  let reply: Reply | undefined
  const sent = Date.now()
  try {
    reply = existsSync(hostPaths.state) ? await askAsHost() : await ask?.()
  } catch (error) {
    const [first] = (error as Error).message.split('\n')
    return [warning('server', `the server can't be reached: ${first}`)]
  }
  if (reply === undefined) return []
  return [...checkClock(reply.date, (sent + Date.now()) / 2), ...checkCas(reply.text)]
}

async function askAsHost(): Promise<Reply> {
  const text = readFileSync(hostPaths.config, 'utf8')
  const server = new Server(parseHostConfig(text, /^\s*vault_addr\s*=\s*"http:/m.test(text)))
  try {
    return await server.get('public_key', { query: { usage: 'scoped' } })
  } finally {
    server.close()
  }
}

function checkClock(date: string | undefined, now: number): Finding[] {
  const skew = Math.round((now - Date.parse(date ?? '')) / 1000)
  const off = Math.abs(skew)
  // HTTP tells whole seconds.
  if (Number.isNaN(skew) || off <= NOTABLE_SKEW_SECONDS) return []
  const text = `this clock is ${off} s ${skew > 0 ? 'ahead of' : 'behind'} the server's`
  return [(off > MAX_SKEW_SECONDS ? fault : warning)('clock', text, 'timedatectl set-ntp true')]
}

function checkCas(text: string): Finding[] {
  const blobs = (lines: string) =>
    lines.split('\n').flatMap((line) => line.trim().split(' ')[1] ?? [])
  if (!existsSync(hostPaths.userCa)) return []
  const trusted = new Set(blobs(readFileSync(hostPaths.userCa, 'utf8')))
  const current = new Set(blobs(text))
  const change = 'run postern host setup again'
  return [
    ...(current.isSubsetOf(trusted)
      ? []
      : [warning('ca', `${hostPaths.userCa} lacks a CA of the server`, change)]),
    ...(trusted.isSubsetOf(current)
      ? []
      : [warning('ca', `${hostPaths.userCa} trusts a CA that the server does not name`, change)]),
  ]
}
