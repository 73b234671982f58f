/**
 * Where a program is to run, what comes of it, and how long and how much it may be (protocols 4.1 and 4.6).
 */
import { PosternError } from '../errors.ts'
import type { Secret } from '../redact.ts'

/** The engine's `RemoteHost` says what each field means. */
export interface Target {
  readonly address: string
  readonly port: number
  readonly user: string
  readonly privateKey: Secret
  readonly keyId: string
  readonly hostKeyAlgorithms?: readonly string[]
  readonly checkHostKey: (hostKey: Uint8Array) => Promise<void>
  readonly beforeSend?: () => void
}

/** The program, or what composes it for the server's version. */
export type Program = string | ((serverVersion: string) => string)

export interface ProgramResult {
  readonly status: number | null
  readonly signal?: string
  readonly stdout: string
  readonly stderr: string
  readonly serverVersion: string
}

export interface RemoteLimits {
  /** From the first packet to a finished login. */
  readonly connectMs: number
  readonly wholeMs: number
  /** How long a connection is kept after its last program. */
  readonly idleMs: number
  readonly keepaliveMs: number
  /** Programs at a time on one connection: below sshd's MaxSessions of 10, since it takes a while to clear one away. */
  readonly sessions: number
  /** Of each of the two outputs; what comes after is dropped. */
  readonly outputBytes: number
  /** For each program, with all that the protocol adds: who sends more is cut. */
  readonly floodBytes: number
}

export const REMOTE_LIMITS: RemoteLimits = {
  connectMs: 10_000,
  wholeMs: 30_000,
  idleMs: 10_000,
  keepaliveMs: 5_000,
  sessions: 8,
  outputBytes: 65_536,
  floodBytes: 4_194_304,
}

/** For texts: `10.0.0.7 port 22`. */
export function nameOf({ address, port }: Target): string {
  return `${address} port ${port}`
}

/** Of a host that did not do what was asked. Text from the host has to be printable already. */
export function failure(message: string, cause?: unknown): PosternError {
  return new PosternError('refused', message, { cause })
}
