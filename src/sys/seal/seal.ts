/** Paths that answer while the server is sealed: health, seal-status, leader, init, unseal; and seal itself (contract 2.1). */
import { badRequest, PosternError } from '../../errors.ts'
import type { Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import type { SysServices } from '../services.ts'

const openWhileSealed = { auth: 'none', whileSealed: true, unaudited: true } as const

const codeField = (of: string) =>
  ({ type: 'string', description: `Status to answer with when ${of}.` }) as const

export function sealPaths(services: SysServices): Path[] {
  return [
    healthPath(services),
    ...statusPaths(services),
    ...initPaths(services),
    ...stepPaths(services),
  ]
}

function healthPath(services: SysServices): Path {
  return declarePath({
    pattern: 'health',
    fields: {
      activecode: codeField('the server is active'),
      standbycode: codeField('the server is a standby'),
      sealedcode: codeField('the server is sealed'),
      uninitcode: codeField('the server is not initialized'),
      standbyok: { type: 'string', description: 'Treats a standby as active.' },
    },
    operations: {
      read: async ({ fields, now }) => {
        const initialized = await services.seal.isInitialized()
        const sealed = services.seal.isSealed
        const mode = sealed ? 'unknown' : 'disabled'
        const status = !initialized
          ? codeOf(fields.uninitcode, 501)
          : sealed
            ? codeOf(fields.sealedcode, 503)
            : codeOf(fields.activecode, 200)
        const body = {
          initialized,
          sealed,
          standby: sealed,
          replication_performance_mode: mode,
          replication_dr_mode: mode,
          server_time_utc: Math.floor(now / 1000),
          version: services.server.version,
          ...clusterOf(services),
        }
        return { bare: { body }, status }
      },
    },
    ...openWhileSealed,
    synopsis: 'Says whether the server works.',
    description:
      '200 when it is unsealed, 501 before init, 503 while sealed; load balancers may ask for other codes.',
  })
}

function codeOf(text: string, normal: number): number {
  if (text === '') return normal
  if (!/^[2-9][0-9]{2}$/.test(text)) {
    throw new PosternError('invalid_request', 'the status code is not a number', { messages: [] })
  }
  return Number(text)
}

function clusterOf({ seal, server }: SysServices): { cluster_name?: string; cluster_id?: string } {
  if (seal.isSealed) return {}
  return { cluster_name: server.clusterName, cluster_id: seal.barrier.keyring.clusterId }
}

async function sealStatus(services: SysServices): Promise<Outcome> {
  const { server, seal } = services
  const status = await seal.status()
  const body = {
    type: status.type,
    initialized: status.initialized,
    sealed: status.sealed,
    t: status.threshold,
    n: status.shares,
    progress: status.progress,
    nonce: status.nonce,
    version: server.version,
    commit_date: '',
    migration: false,
    ...clusterOf(services),
    recovery_seal: false,
    storage_type: server.storageType,
  }
  return { bare: { body } }
}

function statusPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'seal-status',
      fields: {},
      operations: { read: () => sealStatus(services) },
      ...openWhileSealed,
      synopsis: 'Shows the state of the seal.',
      description:
        'Type, number of key shares and threshold, and how many shares of an unseal were given.',
    }),
    declarePath({
      pattern: 'leader',
      fields: {},
      operations: { read: () => ({ bare: { body: { ha_enabled: false } } }) },
      ...openWhileSealed,
      synopsis: 'Says that there is no leader.',
      description: 'Every node serves every request: there is nothing to elect.',
    }),
  ]
}

function initPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'init',
      fields: {
        secret_shares: { type: 'int', description: 'Number of key shares.' },
        secret_threshold: { type: 'int', description: 'Number of shares that open the seal.' },
        pgp_keys: {
          type: 'string-list',
          description: 'Not supported: shares are given as they are.',
        },
        root_token_pgp_key: { type: 'string', description: 'Not supported.' },
        recovery_shares: { type: 'int', description: 'Not for this type of seal.' },
        recovery_threshold: { type: 'int', description: 'Not for this type of seal.' },
      },
      operations: {
        read: async () => ({
          bare: { body: { initialized: await services.seal.isInitialized() } },
        }),
        update: async ({ fields }) => {
          let rootToken = ''
          const request = {
            shares: fields.secret_shares,
            threshold: fields.secret_threshold,
            pgpKeys: fields.pgp_keys,
            rootTokenPgpKey: fields.root_token_pgp_key,
            recoveryShares: fields.recovery_shares,
            recoveryThreshold: fields.recovery_threshold,
          }
          const { keys } = await services.seal.initialize(request, (barrier) => {
            const first = services.firstRecords(barrier)
            rootToken = first.rootToken
            return Promise.resolve(first.writes)
          })
          const body = {
            keys: keys.map((key) => key.toString('hex')),
            keys_base64: keys.map((key) => key.toString('base64')),
            root_token: rootToken,
          }
          return { bare: { body } }
        },
      },
      ...openWhileSealed,
      synopsis: 'Makes the keys of a new server.',
      description: 'Answers with the key shares and the root token. They are shown this one time.',
    }),
    declarePath({
      pattern: 'unseal',
      fields: {
        key: { type: 'string', description: 'One key share, in hex or base64.' },
        reset: { type: 'bool', description: 'Forgets the shares given so far.' },
        migrate: { type: 'bool', description: 'Not supported.' },
      },
      operations: {
        update: async ({ fields }) => {
          if (fields.migrate) throw badRequest('seal migration is not supported')
          await services.seal.unseal({ key: fields.key, reset: fields.reset })
          return sealStatus(services)
        },
      },
      ...openWhileSealed,
      synopsis: 'Takes one key share.',
      description: 'With as many shares as the threshold the server opens.',
    }),
  ]
}

function stepPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'seal',
      fields: {},
      operations: { update: () => ({ afterwards: () => services.seal.seal() }) },
      sudo: 'all',
      plainMethodErrors: true,
      synopsis: 'Seals the server.',
      description:
        'Every key leaves the memory; all but the paths of the seal answer 503 until an unseal.',
    }),
    declarePath({
      pattern: 'step-down',
      fields: {},
      operations: { update: () => ({}) },
      plainMethodErrors: true,
      synopsis: 'Does nothing: there is no leader.',
      description: 'Every node serves every request: there is nothing to step down from.',
    }),
  ]
}
