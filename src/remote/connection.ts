/**
 * One SSH connection to a host as one user (RFC 4253, RFC 4252): the host shows its key, its users judge it, then the
 * one admin key is offered and nothing else: no agent, password, keyboard-interactive or forwarding (protocols 4.6).
 */
import type { Channel, Client, PublicKeyLogin } from 'ssh2'
import type { PosternError } from '../errors.ts'
import { printable, type Secret } from '../redact.ts'
import { parseAdminKey, type Ssh2 } from './admin-key.ts'
import { offeredAlgorithms } from './algorithms.ts'
import { inTurn, PacedSocket } from './paced-socket.ts'
import { openSession, runProgram } from './program.ts'
import { Slots, untilAborted } from './slots.ts'
import {
  failure,
  nameOf,
  type Program,
  type ProgramResult,
  type RemoteLimits,
  type Target,
} from './target.ts'

const connectErrors = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to the network'],
  ['ETIMEDOUT', 'no answer'],
])

/** To open a session on a host that has opened others. */
const MAX_TRIES = 5

/** What is under way, for the text of a failure. */
type Step = 'connect' | 'handshake' | 'login' | 'open'

interface ConnectionOptions {
  readonly ssh2: Ssh2
  readonly target: Target
  readonly limits: RemoteLimits
  /** Nobody new is to use it; may be told twice. */
  readonly onRetired: () => void
  /** It uses no resources any more. */
  readonly onClosed: () => void
}

export class Connection {
  readonly #options: ConnectionOptions
  readonly #host: string
  readonly #socket = new PacedSocket()
  readonly #client: Client
  readonly #connectTimer: NodeJS.Timeout
  readonly #shown = Promise.withResolvers<Buffer>()
  readonly #admitted = Promise.withResolvers<Secret>()
  readonly #loggedIn = Promise.withResolvers<void>()
  readonly #users = new Set<AbortController>()
  readonly #slots: Slots
  #step: Step = 'connect'
  #hostKey: Buffer | undefined
  #isOver = false
  #isRetired = false
  #idleTimer: NodeJS.Timeout | undefined
  #started = 0
  #hasOpened = false

  /** Connects at once. */
  constructor(options: ConnectionOptions) {
    this.#options = options
    const { ssh2, target, limits } = options
    this.#host = nameOf(target)
    this.#slots = new Slots(limits.sessions)
    this.#client = new ssh2.Client()
    // They are asked for only while somebody waits.
    for (const { promise } of [this.#shown, this.#loggedIn]) promise.catch(() => {})
    this.#connectTimer = setTimeout(() => this.fail(this.#tooSlow()), limits.connectMs)
    this.#socket.setNoDelay()
    this.#socket.connect({ host: target.address, port: target.port })
    this.#socket.once('connect', () => {
      this.#step = 'handshake'
      inTurn(() => {
        try {
          if (!this.#isOver) this.#shakeHands()
        } catch (error) {
          this.fail(this.#describe(error as Error))
        }
      })
    })
    this.#socket.once('error', (error) => this.fail(this.#describe(error)))
    this.#socket.once('close', () => {
      this.fail(this.#describe(new Error('the host closed the connection')))
      options.onClosed()
    })
  }

  /** It has failed or is closed: nothing more can be run on it. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The host's key, which the host has proven to have. Rejects with the connection's failure. */
  get hostKey(): Promise<Uint8Array> {
    return this.#shown.promise
  }

  /** A new user, whose signal aborts with the failure when the connection fails. To be given to `leave`. */
  join(): AbortController {
    clearTimeout(this.#idleTimer)
    const user = new AbortController()
    this.#users.add(user)
    return user
  }

  /** The last one to leave closes it: at once when it is retired or was never logged in, else after a while. */
  leave(user: AbortController): void {
    this.#users.delete(user)
    if (this.#users.size > 0 || this.#isOver) return
    if (this.#isRetired || this.#step !== 'open') this.#end()
    else this.#idleTimer = setTimeout(() => this.#end(), this.#options.limits.idleMs)
  }

  /** For those who are on it now, and nobody else. */
  retire(): void {
    this.#isRetired = true
    this.#options.onRetired()
  }

  /** The first call makes the login, with its key. Call it only after the host key was found right. */
  logIn(privateKey: Secret): Promise<void> {
    this.#admitted.resolve(privateKey)
    return this.#loggedIn.promise
  }

  /** Waits for a free session. Rejects with PosternErrors, and with the signal's reason where it waits for the host. */
  async run(target: Target, program: Program, signal: AbortSignal): Promise<ProgramResult> {
    const serverVersion = printable(this.#client._remoteVer ?? '')
    const text = typeof program === 'string' ? program : program(serverVersion)
    const channel = await this.#session(signal)
    try {
      target.beforeSend?.()
      const result = await untilAborted(
        runProgram(channel, text, this.#options.limits.outputBytes),
        signal,
      )
      if (!result) throw failure(`${this.#host} ended the session before the program's end`)
      return { ...result, serverVersion }
    } finally {
      channel.close()
      this.#slots.giveBack()
    }
  }

  /** Cuts everybody with this error. Later calls do nothing. */
  fail(error: PosternError): void {
    this.#socket.destroy()
    if (this.#isOver) return
    this.#over()
    this.#shown.reject(error)
    this.#loggedIn.reject(error)
    for (const user of this.#users) user.abort(error)
  }

  #end(): void {
    this.#over()
    if (this.#step !== 'open') {
      this.#socket.destroy()
      return
    }
    this.#client.end()
    this.#socket.destroySoon()
  }

  #over(): void {
    this.#isOver = true
    clearTimeout(this.#connectTimer)
    clearTimeout(this.#idleTimer)
    this.retire()
  }

  #shakeHands(): void {
    const { target, limits } = this.#options
    const client = this.#client
    client.on('error', (error: Error) => this.fail(this.#describe(error)))
    client.once('handshake', () => {
      this.#step = 'login'
      this.#shown.resolve(this.#hostKey as Buffer)
    })
    client.once('ready', () => {
      this.#step = 'open'
      clearTimeout(this.#connectTimer)
      this.#loggedIn.resolve()
    })
    client.connect({
      sock: this.#socket,
      username: target.user,
      ident: 'Postern',
      readyTimeout: 0,
      keepaliveInterval: limits.keepaliveMs,
      keepaliveCountMax: 2,
      algorithms: offeredAlgorithms(target.hostKeyAlgorithms ?? []),
      hostVerifier: (key) => this.#takeHostKey(key),
      authHandler: this.#authentication(target.user),
    })
    // Added when ssh2 has paused the socket, which it would set flowing before.
    this.#socket.on('data', () => {
      if (this.#socket.bytesRead <= limits.floodBytes * (1 + this.#started)) return
      this.fail(failure(`${this.#host} sends more than a program may print`))
    })
  }

  /** Only kept here: it is proven when the handshake is complete. A new key exchange must show the same. */
  #takeHostKey(key: Buffer): boolean {
    this.#hostKey ??= Buffer.from(key)
    return key.equals(this.#hostKey)
  }

  #authentication(username: string) {
    let isOffered = false
    return (
      _left: readonly string[] | null,
      isPartial: boolean | null,
      next: (login: PublicKeyLogin) => void,
    ): false | undefined => {
      if (isOffered) {
        const user = JSON.stringify(username)
        const text = isPartial
          ? `${this.#host} asks for more than the admin key of ${user}`
          : `${this.#host} refuses the admin key of ${user}`
        this.fail(failure(text))
        return false
      }
      isOffered = true
      this.#admitted.promise
        .then((privateKey) => {
          const key = parseAdminKey(this.#options.ssh2, privateKey)
          next({ type: 'publickey', username, key })
        })
        // Without the cause, whose text may quote the key.
        .catch(() => this.fail(failure('the admin key is in a form that cannot be used')))
      return undefined
    }
  }

  async #session(signal: AbortSignal): Promise<Channel> {
    let mustWait = false
    let triesAlone = 0
    for (;;) {
      await this.#slots.take(signal, mustWait)
      this.#started += 1
      try {
        const channel = await untilAborted(openSession(this.#client, signal), signal)
        this.#slots.opened()
        this.#hasOpened = true
        return channel
      } catch (error) {
        mustWait = this.#slots.refuse()
        const isFull = typeof (error as { reason?: unknown }).reason === 'number'
        // Without others in use, sshd has not cleared those away that ended: it may do so after it has refused.
        if (!mustWait) triesAlone += 1
        if (isFull && (mustWait || (this.#hasOpened && triesAlone < MAX_TRIES))) continue
        if (signal.aborted) throw signal.reason
        // Half closed by the host: ssh2 says so before the socket tells of its end.
        if (!this.#socket.writable || this.#socket.readableEnded) {
          this.fail(this.#describe(error as Error))
          throw signal.reason
        }
        const text = printable((error as Error).message)
        throw failure(`${this.#host} refuses a session: ${text}`, error)
      }
    }
  }

  #describe(error: Error): PosternError {
    const text = printable(error.message)
    switch (this.#step) {
      case 'connect': {
        const code = (error as NodeJS.ErrnoException).code ?? ''
        return failure(`cannot connect to ${this.#host}: ${connectErrors.get(code) ?? text}`, error)
      }
      case 'handshake':
        return failure(`the SSH handshake with ${this.#host} failed: ${text}`, error)
      case 'login':
        return failure(`the login to ${this.#host} failed: ${text}`, error)
      default:
        return failure(`the connection to ${this.#host} was cut: ${text}`, error)
    }
  }

  #tooSlow(): PosternError {
    const seconds = `${this.#options.limits.connectMs / 1000} s`
    if (this.#step === 'connect') {
      return failure(`cannot connect to ${this.#host}: no answer within ${seconds}`)
    }
    const what = this.#step === 'handshake' ? 'SSH handshake with' : 'login to'
    return failure(`the ${what} ${this.#host} took longer than ${seconds}`)
  }
}
