/** `config/hosts`: whether the mount knows hosts, and what it does for them (protocols 5.1, 5.4). */
import { badRequest } from '../../../errors.ts'
import type { Call, ConfigView, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'
import { issuerIndex, lookUp, usageOf } from '../ca/issuers.ts'
import { makeScopedIssuer } from '../scope/scoped-issuer.ts'
import { makeIdentity } from './identity.ts'

const CONFIG = 'config/hosts'
const DAY_SECONDS = 86_400
const DEFAULT_CERTIFICATE_SECONDS = 30 * DAY_SECONDS
const MIN_CERTIFICATE_SECONDS = 3600
const MAX_CERTIFICATE_SECONDS = 366 * DAY_SECONDS

export interface HostsConfig {
  readonly hostScope: boolean
  /** The issuer that signs host certificates; `default` for the mount's default one. */
  readonly hostIssuerRef: string
  readonly certificateSeconds: number
}

const DEFAULTS: HostsConfig = {
  hostScope: false,
  hostIssuerRef: 'default',
  certificateSeconds: DEFAULT_CERTIFICATE_SECONDS,
}

export async function hostsConfig(config: ConfigView): Promise<HostsConfig> {
  return (await config.get(CONFIG, decodeRecord<HostsConfig>)) ?? DEFAULTS
}

/** Whether host certificates can be signed: there is an issuer for them. */
export async function signsHosts(config: ConfigView): Promise<boolean> {
  const { hostIssuerRef } = await hostsConfig(config)
  const entry = lookUp(await issuerIndex(config), hostIssuerRef)
  return entry !== undefined && usageOf(entry) === 'bare'
}

const fields = {
  host_scope: {
    type: 'bool',
    description:
      'Lets the mount know hosts. The first time, it makes the scoped issuer, the one that hosts trust, and the identity key.',
  },
  host_issuer_ref: {
    type: 'string',
    description:
      'Id or name of the issuer that signs host certificates, a bare one; `default`: the default one.',
  },
  host_certificate_ttl: {
    type: 'duration',
    description: 'Life of host certificates, an hour to 366 days; 30 days if absent.',
  },
} as const

async function update(call: Call<typeof fields>): Promise<Outcome> {
  const { given, config } = call
  const before = await hostsConfig(config)
  const after: HostsConfig = {
    hostScope: given.has('host_scope') ? call.fields.host_scope : before.hostScope,
    hostIssuerRef: given.has('host_issuer_ref')
      ? call.fields.host_issuer_ref || 'default'
      : before.hostIssuerRef,
    certificateSeconds: given.has('host_certificate_ttl')
      ? call.fields.host_certificate_ttl
      : before.certificateSeconds,
  }
  const { hostIssuerRef, certificateSeconds } = after
  if (
    certificateSeconds < MIN_CERTIFICATE_SECONDS ||
    certificateSeconds > MAX_CERTIFICATE_SECONDS
  ) {
    throw badRequest('host_certificate_ttl is an hour to 366 days')
  }
  const entry = lookUp(await issuerIndex(config), hostIssuerRef)
  if (!entry && hostIssuerRef !== 'default') {
    throw badRequest(`unable to find issuer for reference: ${hostIssuerRef}`)
  }
  // Hosts trust the scoped issuer for users: it must never vouch for hosts, or for names of a caller's choice.
  if (entry && usageOf(entry) === 'scoped') {
    throw badRequest('host_issuer_ref names a scoped issuer: host certificates need a bare one')
  }
  const made = after.hostScope
    ? [...(await makeScopedIssuer(config)), ...(await makeIdentity(config))]
    : []
  return {
    data: show(after),
    writes: [...made, config.put(CONFIG, encodeRecord(after))],
  }
}

function show({ hostScope, hostIssuerRef, certificateSeconds }: HostsConfig) {
  return {
    host_certificate_ttl: certificateSeconds,
    host_issuer_ref: hostIssuerRef,
    host_scope: hostScope,
  }
}

export const configHostsPath: Path = declarePath({
  pattern: 'config/hosts',
  fields,
  operations: {
    read: async (call) => ({ data: show(await hostsConfig(call.config)) }),
    update,
  },
  synopsis: 'Whether the mount knows hosts, and how long host certificates live.',
  description:
    'With host_scope=true, certificates can be limited to chosen hosts: roles have host_scope, hosts are enrolled, and trust the scoped issuer only ' +
    '(public_key?usage=scoped). Turning it off again stops enrolment; issuer, hosts and certificates stay.',
})
