/** Takes keys off their hosts when leases end, and moves the end of their lines when leases are renewed (contract 9, protocols 1.6). */
import type { Clock } from '../../../clock.ts'
import { asErrorList, PosternError, refused } from '../../../errors.ts'
import type { ExternalEffects, LeasedData } from '../../../mount/path.ts'
import type { Log } from '../compat.ts'
import { failureOf, installProgram, uninstallProgram, wasCut } from './host/host-program.ts'
import { type KeyLease, leasedKey, reach } from './lease.ts'
import type { RemoteHosts, RemoteResult } from './remote.ts'

interface EndOptions {
  readonly remote: RemoteHosts
  readonly clock: Clock
  readonly log: Log
}

const dataOf = (lease: LeasedData): KeyLease => lease.data as KeyLease

/** Leases of one host, with one login to it. */
function hostOf(lease: LeasedData): string {
  const { address, port, adminUser, key } = dataOf(lease)
  return JSON.stringify([lease.mount.uuid, address, port, adminUser, key])
}

/** Leases that one program serves. A script of one's own takes one key at a time. */
function programOf(lease: LeasedData): string {
  const { username, mayBeRoot, authorizedKeys, installScript } = dataOf(lease)
  const own = installScript === '' ? '' : lease.id
  return JSON.stringify([hostOf(lease), username, mayBeRoot, authorizedKeys, own])
}

export function externalKeys({ remote, clock, log }: EndOptions): ExternalEffects {
  /** Throws, for all of the leases, when the host did not confirm. */
  async function uninstall(leases: readonly LeasedData[], first: LeasedData): Promise<void> {
    const data = dataOf(first)
    const { host } = await reach({ ...first, clock, log }, data)
    const keys = leases.map((lease) => leasedKey(dataOf(lease), lease))
    const failure = failureOf(await remote.run(host, uninstallProgram(data, keys)))
    if (failure !== undefined) throw new Error(failure)
  }

  async function endTogether(leases: readonly LeasedData[]): Promise<Error | undefined> {
    const [first] = leases
    if (!first) return undefined
    try {
      await uninstall(leases, first)
      return undefined
    } catch (error) {
      const reason = `error removing public key from authorized_keys file in target: ${(error as Error).message}`
      // Kept with the lease and logged as it is; callers are shown the form of the API.
      return new PosternError('refused', reason, { messages: [asErrorList(reason)] })
    }
  }

  return {
    groupOf: hostOf,
    end: async (leases) => {
      const groups = Map.groupBy(leases, programOf)
      const ends = [...groups].map(
        async ([name, group]) => [name, await endTogether(group)] as const,
      )
      const errors = new Map(await Promise.all(ends))
      return leases.map((lease) => errors.get(programOf(lease)))
    },
    renew: async (lease, expiresAt) => {
      const data = dataOf(lease)
      if (!data.renewRewritesExpiry) return undefined
      const { host } = await reach({ ...lease, clock, log }, data)
      const key = leasedKey(data, { ...lease, expiresAt })
      let isSent = false
      const beforeSend = () => {
        isSent = true
      }
      let result: RemoteResult
      try {
        result = await remote.run({ ...host, beforeSend }, installProgram(data, [key]))
      } catch (error) {
        throw isSent ? unfinished(error) : error
      }
      const failure = failureOf(result)
      if (failure === undefined) return undefined
      const reason = refused(
        `failed to renew public key in authorized_keys file in target: ${failure}`,
      )
      throw wasCut(result) ? unfinished(reason) : reason
    },
  }
}

/** The program was sent, and nobody has heard how it ended. */
function unfinished(error: unknown): unknown {
  if (!(error instanceof PosternError)) return error
  const { code, message, messages, cause, status } = error
  return new PosternError(code, message, { messages, cause, status, mayGoOn: true })
}
