/**
 * A secrets engine of type `hosts` for tests: what its leases stand for are lines on hosts, kept here in sets. Hosts
 * can be slow, fail, or be gone, at every step.
 */
import { Buffer } from 'node:buffer'
import type { PendingLease } from '../../src/mount/call.ts'
import type { Backend, LeasedData } from '../../src/mount/path.ts'
import { declarePath } from '../../src/mount/path.ts'

const fields = {
  host: { type: 'string', description: 'Where the line goes.' },
  ttl: { type: 'duration', description: 'Life of the lease.' },
} as const

type Hook<A extends readonly unknown[]> = (...what: A) => Promise<void> | void

export class HostsEngine {
  /** Ids of the leases whose line is there, over all hosts. */
  readonly lines: Set<string> = new Set()
  /** Lease ids of each call that ended some, and their host. */
  readonly calls: { readonly host: string; readonly ids: readonly string[] }[] = []
  /** Reject to fail the step; wait to be slow. */
  beforeInstall: Hook<[PendingLease]> = () => {}
  afterInstall: Hook<[PendingLease]> = () => {}
  beforeEnd: Hook<[host: string]> = () => {}
  /** After the line has gone from the host, before the server is told. */
  afterEnd: Hook<[host: string]> = () => {}
  beforeRenew: Hook<[id: string]> = () => {}

  get backend(): Backend {
    return {
      type: 'hosts',
      description: 'Lines on hosts.',
      paths: [
        declarePath({
          pattern: 'creds/:host',
          fields,
          operations: {
            update: async (call) => {
              const { host, ttl } = call.fields
              const lease = await call.beginLease(
                { ttlSeconds: ttl || 600, maxTtlSeconds: 7200, renewable: true, data: { host } },
                (id) => [call.store.put(`use/${id}`, Buffer.of())],
              )
              await this.beforeInstall(lease)
              this.lines.add(lease.id)
              await this.afterInstall(lease)
              return { data: { line: lease.id }, activatedLease: lease }
            },
          },
          synopsis: 'Installs a line.',
          description: 'Installs a line.',
        }),
      ],
      revoke: ({ id, store }) => ({ writes: [store.remove(`use/${id}`)] }),
      external: {
        groupOf: hostOf,
        end: (leases) => this.#end(leases),
        renew: async ({ id, data }, expiresAt) => {
          await this.beforeRenew(id)
          // Like a host that writes the line anew without looking.
          this.lines.add(id)
          return { data: { ...(data as object), expiresAt } }
        },
      },
    }
  }

  async #end(leases: readonly LeasedData[]): Promise<(Error | undefined)[]> {
    const host = hostOf(leases[0] as LeasedData)
    this.calls.push({ host, ids: leases.map(({ id }) => id) })
    try {
      await this.beforeEnd(host)
      for (const { id } of leases) this.lines.delete(id)
      await this.afterEnd(host)
      return leases.map(() => undefined)
    } catch (error) {
      return leases.map(() => error as Error)
    }
  }
}

function hostOf({ data }: LeasedData): string {
  return (data as { readonly host: string }).host
}
