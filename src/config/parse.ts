/** The server's config file, HCL or JSON, to typed settings. A mistake names file, line and key. */
import { readFile } from 'node:fs/promises'
import { PosternError } from '../errors.ts'
import type { HclBlock } from '../hcl/block.ts'
import { HclError } from '../hcl/error.ts'
import { parseHcl } from '../hcl/parse.ts'
import { readAuditDevice } from './audit.ts'
import { BlockReader, type ConfigFile } from './block-reader.ts'
import { readListener } from './listener.ts'
import { readSeal } from './seal.ts'
import type {
  LogFormat,
  LogLevel,
  MissLimit,
  ServerConfig,
  StorageConfig,
} from './server-config.ts'

export interface ParsedServerConfig {
  readonly config: ServerConfig
  /** Keys without effect here, each with file and line. */
  readonly warnings: readonly string[]
}

const SYSTEM_LEASE_SECONDS = 768 * 3600

const SETTINGS = [
  'allow_compat_2015',
  'allow_install_scripts',
  'api_addr',
  'audit_dir',
  'cluster_name',
  'default_lease_ttl',
  'default_max_request_duration',
  'log_format',
  'log_level',
  'max_lease_ttl',
  'pid_file',
]

const BLOCKS = ['audit', 'listener', 'miss_limit', 'seal', 'storage']

const IDLE_KEYS = [
  'administrative_namespace_path',
  'allow_audit_log_prefixing',
  'cache_size',
  'cluster_addr',
  'cluster_cipher_suites',
  'detect_deadlocks',
  'disable_cache',
  'disable_clustering',
  'disable_indexing',
  'disable_mlock',
  'disable_performance_standby',
  'disable_printable_check',
  'disable_sealwrap',
  'disable_sentinel_trace',
  'enable_multiseal',
  'enable_response_header_hostname',
  'enable_response_header_raft_node_id',
  'enable_ui',
  'entropy',
  'experiments',
  'ha_storage',
  'imprecise_lease_role_tracking',
  'initialize',
  'introspection_endpoint',
  'kms_library',
  'license_path',
  'log_file',
  'log_requests_level',
  'log_rotate_bytes',
  'log_rotate_duration',
  'log_rotate_max_files',
  'plugin',
  'plugin_auto_download',
  'plugin_auto_register',
  'plugin_directory',
  'plugin_download_behavior',
  'plugin_file_permissions',
  'plugin_file_uid',
  'plugin_tmpdir',
  'raw_storage_endpoint',
  'replication',
  'reporting',
  'sentinel',
  'service_registration',
  'telemetry',
  'ui',
  'unsafe_allow_api_audit_creation',
  'unsafe_cross_namespace_identity',
  'user_lockout',
]

const LOG_LEVELS: ReadonlyMap<string, LogLevel> = new Map([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['notice', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['err', 'error'],
])

const LOG_FORMATS: ReadonlyMap<string, LogFormat> = new Map([
  ['standard', 'standard'],
  ['json', 'json'],
])

/** Reads and parses a file. Throws `invalid_config`, also when the file can't be read. */
export async function loadServerConfig(path: string): Promise<ParsedServerConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new PosternError('invalid_config', `${path}: can't be read: ${reason}`, { cause })
  }
  return parseServerConfig(text, path)
}

/**
 * Parses the text of a config file; `fileName` is for messages. Throws `invalid_config`, at the
 * first mistake.
 */
export function parseServerConfig(text: string, fileName: string): ParsedServerConfig {
  const file: ConfigFile = { name: fileName, warnings: [] }
  try {
    const known = { settings: SETTINGS, blocks: BLOCKS, idle: IDLE_KEYS }
    const reader = new BlockReader(file, '', parseHcl(text), known)
    return { config: readConfig(file, reader), warnings: file.warnings }
  } catch (error) {
    if (!(error instanceof HclError)) throw error
    throw new PosternError('invalid_config', `${fileName}:${error.line}: ${error.reason}`)
  }
}

function readConfig(file: ConfigFile, reader: BlockReader): ServerConfig {
  const maxRequestSeconds = reader.duration('default_max_request_duration')
  const listeners = reader
    .blocks('listener', 1)
    .map((block) => readListener(file, block, maxRequestSeconds))
  if (listeners.length === 0) reader.fail('a listener is missing: listener "tcp" { … }')
  const storage = single(reader, 'storage', 1)
  if (storage === undefined) {
    reader.fail('the storage is missing: storage "sqlite" { path = "/var/lib/postern/postern.db" }')
  }
  const seal = single(reader, 'seal', 1)
  return {
    storage: readStorage(file, storage),
    listeners,
    seal: seal === undefined ? { type: 'shamir' } : readSeal(file, seal),
    auditDevices: readAuditDevices(file, reader),
    auditDir: reader.string('audit_dir') || undefined,
    allowCompat2015: reader.bool('allow_compat_2015') ?? false,
    allowInstallScripts: reader.bool('allow_install_scripts') ?? false,
    ...readLeaseTtls(reader),
    logLevel: reader.oneOf('log_level', LOG_LEVELS) ?? 'info',
    logFormat: reader.oneOf('log_format', LOG_FORMATS) ?? 'standard',
    apiAddr: readApiAddr(reader),
    clusterName: reader.string('cluster_name') || undefined,
    pidFile: reader.string('pid_file') || undefined,
    missLimit: readMissLimit(file, single(reader, 'miss_limit', 0)),
  }
}

function single(reader: BlockReader, key: string, labelCount: number): HclBlock | undefined {
  const [first, second] = reader.blocks(key, labelCount)
  if (second !== undefined) reader.fail(`"${key}" is given twice`, second.line)
  return first
}

function readStorage(file: ConfigFile, block: HclBlock): StorageConfig {
  const type = block.labels[0] ?? ''
  const title = `storage ${JSON.stringify(type)}`
  if (type === 'sqlite') {
    const reader = new BlockReader(file, title, block.body, { settings: ['path'] })
    return { type, path: reader.required('path', 'the database file') }
  }
  const isInmem = type === 'inmem'
  const body = isInmem ? block.body : { ...block.body, entries: [] }
  const reader = new BlockReader(file, title, body, { settings: [] })
  if (isInmem) return { type: 'inmem' }
  return reader.fail(
    'not offered; use storage "sqlite" { path = "/var/lib/postern/postern.db" } (or "inmem" for trials)',
    block.line,
  )
}

function readAuditDevices(file: ConfigFile, reader: BlockReader): ServerConfig['auditDevices'] {
  const blocks = reader.blocks('audit', 2)
  const devices = blocks.map((block) => readAuditDevice(file, block))
  const paths = new Set<string>()
  for (const [index, { path }] of devices.entries()) {
    if (paths.has(path)) reader.fail(`audit path "${path}" is given twice`, blocks[index]?.line)
    paths.add(path)
  }
  return devices
}

function readLeaseTtls(
  reader: BlockReader,
): Pick<ServerConfig, 'defaultLeaseTtlSeconds' | 'maxLeaseTtlSeconds'> {
  const maxLeaseTtlSeconds = wholeSeconds(reader, 'max_lease_ttl') || SYSTEM_LEASE_SECONDS
  const chosen = wholeSeconds(reader, 'default_lease_ttl')
  if (chosen !== undefined && chosen > maxLeaseTtlSeconds) {
    reader.failAt('default_lease_ttl', 'is larger than max_lease_ttl')
  }
  const defaultLeaseTtlSeconds = chosen || Math.min(SYSTEM_LEASE_SECONDS, maxLeaseTtlSeconds)
  return { defaultLeaseTtlSeconds, maxLeaseTtlSeconds }
}

function wholeSeconds(reader: BlockReader, key: string): number | undefined {
  const seconds = reader.duration(key)
  return seconds === undefined ? undefined : Math.floor(seconds)
}

function readApiAddr(reader: BlockReader): string | undefined {
  const address = reader.string('api_addr') || undefined
  if (address !== undefined && !/^https?:$/.test(URL.parse(address)?.protocol ?? '')) {
    reader.failAt('api_addr', 'is not what is expected: an http or https URL')
  }
  return address
}

function readMissLimit(file: ConfigFile, block: HclBlock | undefined): MissLimit {
  if (block === undefined) return { ratePerSecond: 10, burst: 50 }
  const reader = new BlockReader(file, 'miss_limit', block.body, { settings: ['rate', 'burst'] })
  return {
    ratePerSecond: reader.number('rate', 0.001, true) ?? 10,
    burst: reader.number('burst', 1) ?? 50,
  }
}
