/**
 * The outgoing connections of this server (protocols 4.6): shared by those who log in to the same place as the same
 * user with the same key, and closed when nobody has used them for a while. `ssh2` is loaded by the first one.
 */
import { PosternError } from '../errors.ts'
import { signatureNames } from './algorithms.ts'
import { Connection } from './connection.ts'
import { untilAborted } from './slots.ts'
import {
  failure,
  nameOf,
  type Program,
  type ProgramResult,
  REMOTE_LIMITS,
  type RemoteLimits,
  type Target,
} from './target.ts'

/** Implements the engine's `RemoteHosts`. */
export class Connections {
  readonly #limits: RemoteLimits
  readonly #shared = new Map<string, Connection>()
  /** Also those that nobody new is put on. */
  readonly #open = new Set<Connection>()
  #isClosed = false

  /** Limits other than the usual ones are for tests. */
  constructor(limits: Partial<RemoteLimits> = {}) {
    this.#limits = { ...REMOTE_LIMITS, ...limits }
  }

  /** Runs the program by `sh -s`. Rejects with a PosternError that names the step which failed. */
  async run(target: Target, program: Program): Promise<ProgramResult> {
    const keyTypes = target.hostKeyAlgorithms ?? []
    if (keyTypes.length > 0 && signatureNames(keyTypes).length === 0) {
      throw failure(`the known host keys of ${nameOf(target)} are of types that are not used`)
    }
    const endsAt = performance.now() + this.#limits.wholeMs
    const { connection, isKept } = await this.#connectionTo(target)
    let isSent = false
    const beforeSend = () => {
      isSent = true
      target.beforeSend?.()
    }
    try {
      return await this.#runOn(connection, { ...target, beforeSend }, program, endsAt)
    } catch (error) {
      // The host may have ended a kept connection, by a restart for one, and the host of today is asked then.
      if (!isKept || isSent || !connection.isOver || this.#isClosed) throw error
    }
    return this.#runOn((await this.#connectionTo(target)).connection, target, program, endsAt)
  }

  /** Cuts every connection; what still runs rejects, and so does every later run. */
  close(): Promise<void> {
    this.#isClosed = true
    for (const connection of this.#open) connection.fail(closing())
    return Promise.resolve()
  }

  async #runOn(
    connection: Connection,
    target: Target,
    program: Program,
    endsAt: number,
  ): Promise<ProgramResult> {
    const user = connection.join()
    const timer = setTimeout(() => {
      connection.retire()
      const seconds = this.#limits.wholeMs / 1000
      user.abort(failure(`the program did not end on ${nameOf(target)} within ${seconds} s`))
    }, endsAt - performance.now())
    try {
      const hostKey = await connection.hostKey
      await untilAborted(target.checkHostKey(hostKey), user.signal)
      await connection.logIn(target.privateKey)
      return await connection.run(target, program, user.signal)
    } finally {
      clearTimeout(timer)
      connection.leave(user)
    }
  }

  /** `isKept`: others have been on it before. */
  async #connectionTo(
    target: Target,
  ): Promise<{ readonly connection: Connection; readonly isKept: boolean }> {
    const { default: ssh2 } = await import('ssh2')
    if (this.#isClosed) throw closing()
    const { address, port, user, keyId, hostKeyAlgorithms = [] } = target
    const place = JSON.stringify([address, port, user, keyId, [...hostKeyAlgorithms].sort()])
    const known = this.#shared.get(place)
    if (known) return { connection: known, isKept: true }
    const connection: Connection = new Connection({
      ssh2,
      target,
      limits: this.#limits,
      onRetired: () => {
        if (this.#shared.get(place) === connection) this.#shared.delete(place)
      },
      onClosed: () => this.#open.delete(connection),
    })
    this.#shared.set(place, connection)
    this.#open.add(connection)
    return { connection, isKept: false }
  }
}

function closing(): PosternError {
  return new PosternError('unavailable', 'the server is shutting down')
}
