/**
 * The `listener` blocks: where the server listens, with which TLS, behind which proxies, within
 * which limits.
 */
import { isIP } from 'node:net'
import type { HclBlock } from '../hcl/block.ts'
import { BlockReader, type ConfigFile } from './block-reader.ts'
import type {
  ForwardedConfig,
  ListenerConfig,
  ListenerLimits,
  TcpListenerConfig,
  TlsConfig,
  UnixListenerConfig,
} from './server-config.ts'

const DEFAULT_ADDRESS = '127.0.0.1:8200'
const DEFAULT_MAX_REQUEST_BYTES = 33_554_432
const DEFAULT_MAX_REQUEST_SECONDS = 90

const COMMON_KEYS = [
  'address',
  'http_idle_timeout',
  'http_read_header_timeout',
  'http_read_timeout',
  'max_request_duration',
  'max_request_size',
]

const TCP_KEYS = [
  'tls_cert_file',
  'tls_client_ca_file',
  'tls_disable',
  'tls_disable_client_certs',
  'tls_key_file',
  'tls_min_version',
  'tls_require_and_verify_client_cert',
  'x_forwarded_for_authorized_addrs',
  'x_forwarded_for_hop_skips',
  'x_forwarded_for_reject_not_authorized',
  'x_forwarded_for_reject_not_present',
]

const UNIX_KEYS = ['socket_group', 'socket_mode', 'socket_user']

const IDLE_KEYS = [
  'agent_api',
  'chroot_namespace',
  'cluster_address',
  'cors_allowed_headers',
  'cors_allowed_origins',
  'cors_enabled',
  'custom_response_headers',
  'custom_ui_response_headers',
  'disable_replication_status_endpoints',
  'disable_unauthed_rekey_endpoints',
  'enable_quit',
  'http_write_timeout',
  'inflight_requests_logging',
  'max_request_json_memory',
  'max_request_json_strings',
  'profiling',
  'proxy_api',
  'proxy_protocol_authorized_addrs',
  'proxy_protocol_behavior',
  'redact_addresses',
  'redact_cluster_name',
  'redact_version',
  'role',
  'tls_cipher_suites',
  'tls_max_version',
  'tls_prefer_server_cipher_suites',
]

const TLS_VERSIONS: ReadonlyMap<string, TlsConfig['minVersion']> = new Map([
  ['1.2', 'TLSv1.2'],
  ['1.3', 'TLSv1.3'],
  ['tls12', 'TLSv1.2'],
  ['tls13', 'TLSv1.3'],
])

/**
 * `maxRequestSeconds` is the server's own `default_max_request_duration`, for listeners that set
 * none.
 */
export function readListener(
  file: ConfigFile,
  block: HclBlock,
  maxRequestSeconds: number | undefined,
): ListenerConfig {
  const type = block.labels[0] ?? ''
  const isUnix = type === 'unix'
  const settings = [...COMMON_KEYS, ...(isUnix ? UNIX_KEYS : TCP_KEYS)]
  // TLS is nothing for a socket file, where people switch it off all the same.
  const idle = isUnix ? [...IDLE_KEYS, 'tls_disable'] : IDLE_KEYS
  const title = `listener ${JSON.stringify(type)}`
  const reader = new BlockReader(file, title, block.body, { settings, idle, blocks: ['telemetry'] })
  if (type !== 'tcp' && !isUnix) reader.fail('only "tcp" and "unix" are offered', block.line)
  const common = {
    limits: readLimits(reader, maxRequestSeconds),
    unauthenticatedMetricsAccess: readTelemetry(file, title, reader),
  }
  return isUnix ? { ...readUnix(reader), ...common } : { ...readTcp(reader), ...common }
}

type Own<T> = Omit<T, 'limits' | 'unauthenticatedMetricsAccess'>

function readTcp(reader: BlockReader): Own<TcpListenerConfig> {
  const address = reader.string('address') ?? DEFAULT_ADDRESS
  const found = splitAddress(address)
  if (found === undefined) reader.failAt('address', 'is not what is expected: host:port')
  return { type: 'tcp', address, ...found, tls: readTls(reader), forwarded: readForwarded(reader) }
}

/** `127.0.0.1:8200`, `[::1]:8200`, `name:8200`, or `:8200` for every address. */
function splitAddress(address: string): { host: string | undefined; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]*)):([0-9]{1,5})$/.exec(address)
  if (match === null || Number(match[3]) > 65_535) return undefined
  if (match[1] !== undefined && isIP(match[1]) !== 6) return undefined
  return { host: match[1] ?? (match[2] || undefined), port: Number(match[3]) }
}

function readTls(reader: BlockReader): TlsConfig | undefined {
  const isDisabled = reader.bool('tls_disable') ?? false
  const requires = reader.bool('tls_require_and_verify_client_cert') ?? false
  const disables = reader.bool('tls_disable_client_certs') ?? false
  const minVersion = reader.oneOf('tls_min_version', TLS_VERSIONS) ?? 'TLSv1.2'
  const clientCaFile = reader.string('tls_client_ca_file')
  if (isDisabled) {
    if (requires)
      reader.failAt('tls_require_and_verify_client_cert', 'needs TLS, which is disabled')
    return undefined
  }
  const hint = 'a PEM file (or set tls_disable = true where TLS ends at a proxy)'
  const files = {
    certFile: reader.required('tls_cert_file', hint),
    keyFile: reader.required('tls_key_file', hint),
  }
  if (requires && disables) {
    reader.failAt('tls_disable_client_certs', 'contradicts tls_require_and_verify_client_cert')
  }
  if (requires && clientCaFile === undefined) {
    reader.failAt('tls_require_and_verify_client_cert', 'needs tls_client_ca_file')
  }
  const client = {
    clientCaFile,
    requireAndVerifyClientCert: requires,
    disableClientCerts: disables,
  }
  return { ...files, minVersion, ...client }
}

function readForwarded(reader: BlockReader): ForwardedConfig | undefined {
  const authorizedAddresses = reader.list('x_forwarded_for_authorized_addrs')
  const wrong = authorizedAddresses.find((address) => !isBlock(address))
  if (wrong !== undefined) {
    reader.failAt(
      'x_forwarded_for_authorized_addrs',
      `is not what is expected: addresses and CIDR blocks, not ${JSON.stringify(wrong)}`,
    )
  }
  const forwarded = {
    authorizedAddresses,
    hopSkips: reader.number('x_forwarded_for_hop_skips', 0) ?? 0,
    rejectNotAuthorized: reader.bool('x_forwarded_for_reject_not_authorized') ?? true,
    rejectNotPresent: reader.bool('x_forwarded_for_reject_not_present') ?? true,
  }
  return authorizedAddresses.length === 0 ? undefined : forwarded
}

function isBlock(text: string): boolean {
  const [address = '', prefix = '0', rest] = text.split('/')
  const bits = isIP(address) === 6 ? 128 : 32
  return (
    isIP(address) !== 0 &&
    rest === undefined &&
    /^[0-9]{1,3}$/.test(prefix) &&
    Number(prefix) <= bits
  )
}

function readUnix(reader: BlockReader): Own<UnixListenerConfig> {
  const mode = reader.string('socket_mode')
  if (mode !== undefined && !/^0?[0-7]{3}$/.test(mode)) {
    reader.failAt('socket_mode', 'is not what is expected: an octal mode such as "0660"')
  }
  return {
    type: 'unix',
    path: reader.required('address', 'the path of the socket'),
    socketMode: mode === undefined ? undefined : Number.parseInt(mode, 8),
    socketUser: reader.string('socket_user'),
    socketGroup: reader.string('socket_group'),
  }
}

function readLimits(reader: BlockReader, maxRequestSeconds: number | undefined): ListenerLimits {
  return {
    maxRequestBytes: reader.number('max_request_size', 1) ?? DEFAULT_MAX_REQUEST_BYTES,
    maxRequestSeconds:
      reader.duration('max_request_duration') || maxRequestSeconds || DEFAULT_MAX_REQUEST_SECONDS,
    readHeaderTimeoutSeconds: reader.duration('http_read_header_timeout') || 10,
    readTimeoutSeconds: reader.duration('http_read_timeout') || 30,
    idleTimeoutSeconds: reader.duration('http_idle_timeout') || 300,
  }
}

function readTelemetry(file: ConfigFile, title: string, listener: BlockReader): boolean {
  const values = listener.blocks('telemetry', 0).map(({ body }) => {
    const settings = ['unauthenticated_metrics_access']
    const idle = ['disallow_metrics', 'metrics_only']
    const reader = new BlockReader(file, `${title} telemetry`, body, { settings, idle })
    return reader.bool('unauthenticated_metrics_access') ?? false
  })
  return values.includes(true)
}
