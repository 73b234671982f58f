/** What PAM's hook has left (hosts 1.12): the sessions that began and ended, in their order. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { decodeBase64 } from '../../ssh/base64.ts'
import { parseCertificate } from '../../ssh/certificate/certificate.ts'
import type { EventCertificate, LoginMethod } from '../../ssh/host/login-event.ts'
import { fingerprint } from '../../ssh/key/fingerprint.ts'
import { parsePublicKey } from '../../ssh/key/public-key.ts'
import { canonicalAddress } from '../address.ts'
import { DROPPED, hookFields } from './session-hook.ts'

/** A certificate and what goes with it stay far below. */
const MAX_FILE_BYTES = 256 * 1024
const NAME = /^[0-9]+-[0-9]+-(?:open|close)_session$/

/** With what somebody came in. */
export interface Proof {
  readonly method: LoginMethod
  readonly certificate?: EventCertificate | undefined
  readonly fingerprint?: string | undefined
}

export interface SessionRecord extends Proof {
  readonly type: 'open' | 'close'
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Without hyphens. */
  readonly boot: string
  readonly pid: number
  readonly start: number
  readonly user: string
  /** As PAM has it. */
  readonly rhost: string
  /** The client's address in canonical form, where sshd told it. */
  readonly from: string
  readonly port: number | undefined
  readonly service: string
}

interface Inbox {
  readonly records: readonly SessionRecord[]
  /** Files that had to make room for others since the last time. */
  readonly dropped: number
  /** Removes what was read: once it is kept elsewhere. */
  remove(): void
}

/** Reads all files, and leaves them. One that is not the hook's is passed over. */
export function readInbox(folder: string): Inbox {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const names = readdirSync(folder).filter((name) => NAME.test(name))
  const found = names.flatMap((name) => readRecord(path.join(folder, name)) ?? [])
  const counted = takeDropped(folder)
  return {
    records: found.sort((one, other) => one.at - other.at),
    dropped: counted.dropped,
    remove: () => {
      for (const name of [...names, counted.name]) {
        rmSync(path.join(folder, name), { force: true })
      }
    },
  }
}

/** The hook goes on counting in a new file. */
function takeDropped(folder: string): { readonly dropped: number; readonly name: string } {
  const name = `${DROPPED}.taken`
  const file = path.join(folder, name)
  try {
    if (!readdirSync(folder).includes(name)) renameSync(path.join(folder, DROPPED), file)
    return { dropped: statSync(file).size, name }
  } catch {
    return { dropped: 0, name }
  }
}

function readRecord(file: string): SessionRecord | undefined {
  try {
    const { mtimeMs, size } = statSync(file)
    if (size > MAX_FILE_BYTES) return undefined
    const values = readFileSync(file, 'utf8').split('\0')
    if (values.length !== hookFields.length + 1) return undefined
    return recordOf(new Map(hookFields.map((name, at) => [name, values[at] ?? ''])), mtimeMs)
  } catch {
    // Made room for another one meanwhile.
    return undefined
  }
}

function recordOf(
  values: ReadonlyMap<(typeof hookFields)[number], string>,
  at: number,
): SessionRecord {
  const value = (name: (typeof hookFields)[number]) => values.get(name) ?? ''
  const [address = '', port] = value('connection').split(' ')
  const rhost = value('rhost')
  return {
    type: value('type') === 'open_session' ? 'open' : 'close',
    at: Math.floor(at),
    boot: value('boot').replaceAll('-', ''),
    pid: Number(value('pid')),
    start: Number(value('start')),
    user: value('user'),
    rhost,
    from: canonicalAddress(address) ?? canonicalAddress(rhost) ?? rhost,
    port: /^[0-9]{1,5}$/.test(port ?? '') ? Number(port) : undefined,
    service: value('service'),
    ...proofOf(value('authInfo')),
  }
}

/** Of `SSH_AUTH_INFO_0`: a line for each method that was passed. A key says most. */
function proofOf(authInfo: string): Proof {
  const lines = authInfo.split('\n').filter((line) => line !== '')
  const key = lines.find((line) => line.startsWith('publickey '))
  if (key !== undefined) return { method: 'publickey', ...keyProof(key.split(' ')[2] ?? '') }
  return { method: methodOf(lines[0] ?? '') }
}

/** What sshd calls a method, without what comes after a slash. */
export function methodOf(text: string): LoginMethod {
  const [method] = text.split(/[ /]/)
  if (method === 'publickey' || method === 'password' || method === 'keyboard-interactive') {
    return method
  }
  return 'other'
}

function keyProof(base64: string): Partial<Proof> {
  const blob = decodeBase64(base64)
  try {
    const { serial, caKey, keyId, subject } = parseCertificate(blob)
    const certificate = { serial, keyId, caFingerprint: fingerprint(caKey.blob) }
    return { certificate, fingerprint: fingerprint(subject.blob) }
  } catch {
    // No certificate, then.
  }
  try {
    return { fingerprint: fingerprint(parsePublicKey(blob).blob) }
  } catch {
    // A kind of key that is not known here: sshd has taken it all the same.
    return { fingerprint: fingerprint(blob) }
  }
}
