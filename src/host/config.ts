/** The host's config file, HCL or JSON, with the keys of vault-ssh-helper (contract 7) and some of its own. */
import { HclError } from '../hcl/error.ts'
import { parseHcl } from '../hcl/parse.ts'
import type { HclEntry, HclObject } from '../hcl/value.ts'
import { parseAuthorizedKey } from '../ssh/key/authorized-keys.ts'
import type { PublicKey } from '../ssh/key/public-key.ts'
import { type AddressBlocks, addressBlocks } from './address.ts'

export interface HostConfig {
  readonly address: string
  readonly mountPoint: string
  readonly namespace: string | undefined
  readonly caFile: string | undefined
  readonly caFolder: string | undefined
  readonly serverName: string | undefined
  readonly skipsVerify: boolean
  /** Where the OTP may be meant for besides this host's own addresses; undefined when no list is set. */
  readonly allowedBlocks: AddressBlocks | undefined
  /** Empty lets nobody in, `*` stands for any role. */
  readonly allowedRoles: readonly string[]
  /** Identity keys of the server, one of which has to sign what it answers; empty where the config names none. */
  readonly serverKeys: readonly PublicKey[]
  /** Of the server, as its `identity` path tells; signed with each answer. */
  readonly clusterId: string | undefined
  /** Where sshd logs: `journal`, `none` or a file; undefined lets the service look. */
  readonly logSource: string | undefined
}

const KEYS = new Set([
  'vault_addr',
  'ssh_mount_point',
  'namespace',
  'ca_cert',
  'ca_path',
  'allowed_cidr_list',
  'allowed_roles',
  'tls_skip_verify',
  'tls_server_name',
  'server_key',
  'cluster_id',
  'log_source',
])

/**
 * Reads the text of a config file. `isDev` stands for the flag `-dev`: plain http, and then only that.
 * Throws a TypeError that names the line and the key, or an HclError.
 */
export function parseHostConfig(text: string, isDev: boolean): HostConfig {
  const entries = entriesByKey(parseHcl(text))
  const address = textOf(entries, 'vault_addr')
  if (!address) throw new TypeError('missing config "vault_addr"')
  checkScheme(address, isDev)
  const blocks = listOf(entries, 'allowed_cidr_list')
  return {
    address,
    mountPoint: mountPoint(textOf(entries, 'ssh_mount_point')),
    namespace: textOf(entries, 'namespace'),
    caFile: isDev ? undefined : textOf(entries, 'ca_cert'),
    caFolder: isDev ? undefined : textOf(entries, 'ca_path'),
    serverName: textOf(entries, 'tls_server_name'),
    skipsVerify: boolOf(entries, 'tls_skip_verify'),
    allowedBlocks: blocks.length === 0 ? undefined : addressBlocks(blocks),
    allowedRoles: listOf(entries, 'allowed_roles'),
    serverKeys: listOf(entries, 'server_key').map(serverKey),
    clusterId: textOf(entries, 'cluster_id'),
    logSource: logSource(textOf(entries, 'log_source')),
  }
}

function entriesByKey({ entries }: HclObject): Map<string, HclEntry> {
  const byKey = new Map<string, HclEntry>()
  for (const entry of entries) {
    const { key, line } = entry
    if (!KEYS.has(key)) throw new TypeError(`invalid key ${JSON.stringify(key)} on line ${line}`)
    // Which of two the author meant is a doubt, and doubts let nobody in.
    if (byKey.has(key)) throw new TypeError(`${key} is set again on line ${line}`)
    byKey.set(key, entry)
  }
  return byKey
}

function textOf(entries: Map<string, HclEntry>, key: string): string | undefined {
  const entry = entries.get(key)
  if (entry === undefined) return undefined
  if (entry.value.kind !== 'string') {
    throw new HclError(entry, `${key} has to be a string`)
  }
  return entry.value.value || undefined
}

function boolOf(entries: Map<string, HclEntry>, key: string): boolean {
  const entry = entries.get(key)
  if (entry === undefined) return false
  const { value } = entry
  if (value.kind === 'bool') return value.value
  if (value.kind === 'string' && value.value === 'true') return true
  if (value.kind === 'string' && value.value === 'false') return false
  throw new HclError(entry, `${key} has to be true or false`)
}

function listOf(entries: Map<string, HclEntry>, key: string): string[] {
  const parts = (textOf(entries, key) ?? '').split(',').map((part) => part.trim())
  return parts.filter((part) => part !== '')
}

function serverKey(line: string): PublicKey {
  try {
    return parseAuthorizedKey(line)
  } catch (error) {
    throw new TypeError(`server_key: ${(error as Error).message}`)
  }
}

function checkScheme(address: string, isDev: boolean): void {
  const scheme = URL.parse(address)?.protocol
  if (scheme !== (isDev ? 'http:' : 'https:')) {
    throw new TypeError(
      isDev
        ? `unsupported scheme in 'dev' mode: vault_addr has to begin with http://`
        : `unsupported scheme: vault_addr has to begin with https:// (http:// with -dev only)`,
    )
  }
}

function mountPoint(text = 'ssh'): string {
  const trimmed = text.replace(/^\/+|\/+$/g, '')
  if (/^[\w.-]+(\/[\w.-]+)*$/.test(trimmed)) return trimmed
  throw new TypeError(`ssh_mount_point is not a mount path: ${JSON.stringify(text)}`)
}

function logSource(text: string | undefined): string | undefined {
  if (text === undefined || text === 'journal' || text === 'none' || text.startsWith('/'))
    return text
  throw new TypeError('log_source is journal, none, or the path of a file')
}
