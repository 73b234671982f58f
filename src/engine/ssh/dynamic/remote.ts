/**
 * What the engine needs of an SSH client: to run a program on a host whose key it has judged itself
 * (protocols 4.2 and 4.6). `src/remote/` implements it; nothing here names a library.
 */
import type { Secret } from '../../../redact.ts'

export interface RemoteHost {
  /** A canonical IP address: names are not looked up. */
  readonly address: string
  readonly port: number
  /** Logs in as this user, the admin of a role. */
  readonly user: string
  /** PEM as `encodePrivateKey` of `ssh/private-key.ts` writes it; the only way of authentication that is offered. */
  readonly privateKey: Secret
  /** Names the private key, for example its fingerprint: connections are shared by (address, port, user, keyId). */
  readonly keyId: string
  /**
   * Key types that the known or pinned host keys have, such as `ssh-ed25519`: only these are asked for, so that a
   * host with several keys does not look changed. Absent or empty: any that is not weak, Ed25519 first.
   */
  readonly hostKeyAlgorithms?: readonly string[]
  /**
   * Judges the host's key blob before anything is sent as the user; rejects with the PosternError that refuses
   * it. For a shared connection it is asked again with the key that the connection has shown.
   */
  readonly checkHostKey: (hostKey: Uint8Array) => Promise<void>
  /** Called right before the program is sent: until then the host has done nothing. */
  readonly beforeSend?: () => void
}

export interface RemoteResult {
  /** Exit status of the program; null when a signal ended it. */
  readonly status: number | null
  /** The signal that ended it: `SIGKILL`. */
  readonly signal?: string
  /** The first 64 KiB, as UTF-8. */
  readonly stdout: string
  /** The first 64 KiB, as UTF-8. */
  readonly stderr: string
  /** What the server calls its software: `OpenSSH_9.2p1`. */
  readonly serverVersion: string
}

/** Composes a program for a server that calls its software this: `OpenSSH_9.2p1`. */
export type HostProgram = (serverVersion: string) => string

export interface RemoteHosts {
  /**
   * Runs the constant command `sh -s` with this program on its standard input; a function is asked for it when the host is
   * logged in to and its `serverVersion` known, and may throw. Rejects with a PosternError that
   * names the step which failed: connection (10 s), host key, admin key, session; 30 s for the whole. What a host
   * says is in its message only as printable text, cut at 256 characters.
   */
  run(host: RemoteHost, program: string | HostProgram): Promise<RemoteResult>
  /** Cuts every connection; what still runs rejects. */
  close(): Promise<void>
}
