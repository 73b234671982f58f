/** The options of an audit device, all of them texts (contract 10.2), and what the API may not ask for (Decision 10). */
import { lstat, realpath } from 'node:fs/promises'
import path from 'node:path'
import { badRequest } from '../errors.ts'

/** What lines show in clear. */
export interface LineFormat {
  /** Hashes nothing. */
  readonly logRaw: boolean
  readonly hmacAccessor: boolean
  /** Writes `keys` and `key_info` of lists as their counts. */
  readonly elideListResponses: boolean
}

export interface DeviceOptions {
  /** Absolute path of a file, or what is written to instead of one. */
  readonly target: { readonly file: string } | 'stdout' | 'discard'
  /** Permission bits of the file; undefined leaves them as they are. */
  readonly mode: number | undefined
  /** Text before each line. */
  readonly prefix: string
  /** Waits for the disk with every batch of lines. */
  readonly sync: boolean
  readonly format: LineFormat
}

/** Where the API may put files: anywhere (a dev server), below a folder, or nowhere. */
export type AuditDir = 'any' | (string & {}) | undefined

const DEFAULT_MODE = '0600'
const EXECUTE_BITS = 0o111
const PERMISSION_BITS = 0o777
const REFUSED =
  'cannot enable audit device via API; use declarative, config-based audit device management instead'
const JSONX_REMOVED =
  'jsonx formatting has been removed, consider switching to json by omitting "format" or setting it to "json"'

/** Throws badRequest for a type or an option that is not offered. Options that have no meaning are let pass. */
export function parseDeviceOptions(
  type: string,
  options: Readonly<Record<string, string>>,
): DeviceOptions {
  if (type !== 'file' && type !== 'stdout') {
    throw badRequest(`unknown backend type: ${JSON.stringify(type)}`)
  }
  const given = new Map(Object.entries(options))
  const target = type === 'stdout' ? 'stdout' : parseTarget(given)
  checkFormat(given.get('format') ?? '')
  return {
    target,
    mode: parseMode(given.get('mode') || DEFAULT_MODE),
    prefix: parsePrefix(given.get('prefix') ?? ''),
    sync: parseBool(given, 'sync', false),
    format: {
      logRaw: parseBool(given, 'log_raw', false),
      hmacAccessor: parseBool(given, 'hmac_accessor', true),
      elideListResponses: parseBool(given, 'elide_list_responses', false),
    },
  }
}

function parseTarget(given: ReadonlyMap<string, string>): DeviceOptions['target'] {
  const text = given.get('file_path') || given.get('path')
  if (!text) throw badRequest('file_path is required')
  const name = text.toLowerCase()
  if (name === 'stdout' || name === 'discard') return name
  if (text.includes('\0')) throw badRequest('file_path holds a character that is not allowed')
  return { file: path.resolve(text) }
}

function checkFormat(format: string): void {
  if (format === '' || format === 'json') return
  if (format === 'jsonx') throw badRequest(JSONX_REMOVED)
  throw badRequest(`unknown format type ${JSON.stringify(format)}`)
}

/** Nobody runs a log: execute bits are dropped, so that it can't become a program (CVE-2025-6000). */
function parseMode(text: string): number | undefined {
  if (!/^[0-7]{1,5}$/.test(text)) {
    throw badRequest(`mode: ${JSON.stringify(text)} is not an octal file mode`)
  }
  const bits = Number.parseInt(text, 8)
  return bits === 0 ? undefined : bits & PERMISSION_BITS & ~EXECUTE_BITS
}

function parsePrefix(text: string): string {
  if (/[\r\n]/.test(text)) throw badRequest('prefix: a line break is not allowed')
  return text
}

function parseBool(given: ReadonlyMap<string, string>, name: string, fallback: boolean): boolean {
  const text = given.get(name)
  if (text === undefined || text === '') return fallback
  if (/^(?:1|t|T|true|True|TRUE)$/.test(text)) return true
  if (/^(?:0|f|F|false|False|FALSE)$/.test(text)) return false
  throw badRequest(`${name}: ${JSON.stringify(text)} is not a boolean`)
}

/** Throws badRequest for a device that only the server's config may have. */
export async function checkApiDevice(options: DeviceOptions, auditDir: AuditDir): Promise<void> {
  if (auditDir === 'any') return
  checkApiAllowed(auditDir)
  if (options.prefix !== '') throw badRequest('audit log prefixing is not allowed')
  if (typeof options.target === 'string') return
  const { file } = options.target
  const root = await canonicalFolder(path.resolve(auditDir))
  const folder = await canonicalFolder(path.dirname(file))
  if (folder !== root && !folder.startsWith(root === '/' ? root : `${root}/`)) {
    throw badRequest(`file_path has to lie below the audit_dir of the server, ${auditDir}`)
  }
  const found = await lstat(file).catch(() => undefined)
  if (found && !found.isFile()) throw badRequest('file_path is not a regular file')
}

/** Throws badRequest where the config names no folder for devices of the API. */
export function checkApiAllowed(auditDir: AuditDir): asserts auditDir is string {
  if (auditDir === undefined) throw badRequest(REFUSED)
}

/** Without symbolic links; the parts that do not exist yet stay as they are. */
async function canonicalFolder(folder: string): Promise<string> {
  try {
    return await realpath(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw badRequest(`file_path can't be resolved: ${code}`)
    return path.join(await canonicalFolder(path.dirname(folder)), path.basename(folder))
  }
}
