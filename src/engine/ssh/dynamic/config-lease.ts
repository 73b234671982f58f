/** `config/lease`: the life of passwords and keys, as it was set before mounts were tuned (contract 9). */
import { parseDuration } from '../../../duration.ts'
import { badRequest } from '../../../errors.ts'
import type { ConfigView, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'
import { absent } from '../page.ts'
import type { FieldOf } from '../role/role-fields.ts'

const CONFIG_LEASE = 'config/lease'

interface LeaseTimes {
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
}

const decode = decodeRecord<LeaseTimes>

/** The times that were set, or undefined. Costs no read where none were. */
export async function leaseTimes(config: ConfigView): Promise<LeaseTimes | undefined> {
  // A list is kept in memory, empty or not; that a value is absent is not.
  const isSet = (await config.list('config/')).includes('lease')
  return isSet ? config.get(CONFIG_LEASE, decode) : undefined
}

const fields: Readonly<Record<'lease' | 'lease_max', FieldOf<'string'>>> = {
  lease: { type: 'string', description: 'Life, such as `10m`. Required.' },
  lease_max: { type: 'string', description: 'Longest life over renewals. Required.' },
}

function secondsOf(name: string, text: string): number {
  if (text.trim() === '') throw badRequest(`'${name}' is a required parameter`)
  try {
    const seconds = Math.trunc(parseDuration(text))
    if (seconds > 0) return seconds
    throw new RangeError('it has to be a second at least')
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw badRequest(`invalid '${name}': ${error.message}`)
  }
}

async function read(config: ConfigView): Promise<Outcome> {
  const times = await leaseTimes(config)
  if (!times) throw absent()
  return { data: { lease: `${times.ttlSeconds}s`, lease_max: `${times.maxTtlSeconds}s` } }
}

export const configLeasePath: Path = declarePath({
  pattern: 'config/lease',
  fields,
  operations: {
    read: (call) => read(call.config),
    update: (call) => {
      const ttlSeconds = secondsOf('lease', call.fields.lease)
      const maxTtlSeconds = secondsOf('lease_max', call.fields.lease_max)
      if (ttlSeconds > maxTtlSeconds) throw badRequest("'lease' must not be above 'lease_max'")
      const times: LeaseTimes = { ttlSeconds, maxTtlSeconds }
      return { writes: [call.config.put(CONFIG_LEASE, encodeRecord(times))] }
    },
    delete: (call) => ({ writes: [call.config.remove(CONFIG_LEASE)] }),
  },
  synopsis: 'Life of one-time passwords and installed keys.',
  description:
    'Counts where neither the role nor the tuned mount says how long passwords and keys live. Kept for old clients: ' +
    'tune the mount instead.',
})
