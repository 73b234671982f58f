/**
 * The audit log: hands each line to every enabled device (contract 10.4). A line counts as written when one of
 * them has it; when none has, the request is refused.
 */
import type { Clock } from '../clock.ts'
import { badRequest, PosternError } from '../errors.ts'
import type { AuditDevice } from './device.ts'
import { LineEncoder, type LineType, type ShownHeaders } from './entry.ts'
import { discardDevice, FileDevice, StdoutDevice } from './file.ts'
import { Hasher } from './hash.ts'
import {
  type AuditDir,
  checkApiAllowed,
  checkApiDevice,
  type DeviceOptions,
  parseDeviceOptions,
} from './options.ts'
import type { AuditRecord } from './record.ts'

/** A row of the table of devices. */
export interface DeviceEntry {
  /** With its final slash. */
  readonly path: string
  readonly type: string
  readonly options: Readonly<Record<string, string>>
  /** Key of the device's hashes: 1 to 64 ASCII characters. */
  readonly salt: string
  /** Set in the server's config file, not over the API. */
  readonly fromConfig: boolean
}

export interface AuditBrokerOptions {
  readonly clock: Clock
  readonly auditDir: AuditDir
  readonly log: {
    error(details: object, message: string): void
    info(details: object, message: string): void
  }
}

interface EnabledDevice {
  readonly path: string
  /** Everything that it was made from. */
  readonly made: string
  readonly device: AuditDevice
  readonly encoder: LineEncoder
  readonly hasher: Hasher
  isFailing: boolean
}

const TEST_PATH = 'sys/audit/test'
const NO_HEADERS: ShownHeaders = new Map()

export class AuditBroker {
  readonly #options: AuditBrokerOptions
  #devices: ReadonlyMap<string, EnabledDevice> = new Map()
  #headers = NO_HEADERS
  /** Between seal and unseal lines are refused, not forgotten: a request may still be on its way. */
  #isShut = false

  constructor(options: AuditBrokerOptions) {
    this.#options = options
  }

  isEnabled(): boolean {
    return this.#devices.size > 0 || this.#isShut
  }

  /** Rejects with `audit_failed` when no enabled device took the line. */
  logRequest(record: AuditRecord): Promise<void> {
    return this.#log('request', record)
  }

  /** Rejects with `audit_failed` when no enabled device took the line. */
  logResponse(record: AuditRecord): Promise<void> {
    return this.#log('response', record)
  }

  /**
   * Makes these the enabled devices: unchanged ones go on, others are closed. Throws badRequest for options that are
   * not valid, before anything changes; a device that can't be opened is enabled all the same, and fails its lines.
   */
  async configure(entries: readonly DeviceEntry[]): Promise<void> {
    const before = this.#devices
    const after = new Map<string, EnabledDevice>()
    for (const entry of entries) {
      const known = before.get(entry.path)
      after.set(entry.path, known?.made === madeFrom(entry) ? known : this.#make(entry))
    }
    this.#devices = after
    this.#isShut = false
    const added = [...after.values()].filter((enabled) => before.get(enabled.path) !== enabled)
    const removed = [...before.values()].filter((enabled) => after.get(enabled.path) !== enabled)
    await Promise.all(
      added.map((enabled) =>
        enabled.device.open().catch((error) => this.#noteFailure(enabled, error)),
      ),
    )
    await Promise.all(removed.map(shut))
  }

  /** Opens a device that the API asks for, writes a test line and closes it. Throws badRequest with the reason. */
  async tryDevice(entry: DeviceEntry): Promise<void> {
    const { auditDir, clock } = this.#options
    if (auditDir !== 'any') checkApiAllowed(auditDir)
    const options = parseDeviceOptions(entry.type, entry.options)
    await checkApiDevice(options, auditDir)
    const { device, encoder } = this.#make(entry)
    try {
      await device.open().catch((error: Error) => {
        const file = typeof options.target === 'string' ? options.target : options.target.file
        throw badRequest(
          `sanity check failed; unable to open ${JSON.stringify(file)} for writing: ${error.message}`,
        )
      })
      const line = encoder.encode('request', clock.now(), testRecord, NO_HEADERS)
      await device.write(line).catch((error: Error) => {
        throw badRequest(`audit backend failed test message: ${error.message}`)
      })
    } finally {
      await device.close()
    }
  }

  /** Request headers that lines show, by lower-case name. */
  setRequestHeaders(headers: ShownHeaders): void {
    this.#headers = headers
  }

  /** `hmac-sha256:…` of a text as the device writes it; undefined for an unknown device. */
  hash(path: string, input: string): string | undefined {
    return this.#devices.get(path)?.hasher.hash(input)
  }

  /** At seal: closes all devices, and forgets salts and hashes. */
  clear(): void {
    void this.close()
  }

  /** Opens files anew (SIGHUP, after a log was rotated). A file that can't be opened goes on with the old one. */
  async reopen(): Promise<void> {
    await Promise.all(
      [...this.#devices.values()].map((enabled) =>
        enabled.device.reopen().catch((error) => {
          const details = { err: error, device: enabled.path }
          this.#options.log.error(details, 'an audit device could not be opened anew')
        }),
      ),
    )
  }

  async close(): Promise<void> {
    const devices = [...this.#devices.values()]
    this.#isShut ||= devices.length > 0
    this.#devices = new Map()
    this.#headers = NO_HEADERS
    for (const { hasher } of devices) hasher.clear()
    await Promise.all(devices.map(shut))
  }

  async #log(type: LineType, record: AuditRecord): Promise<void> {
    const time = this.#options.clock.now()
    const writes: Promise<void>[] = []
    for (const enabled of this.#devices.values()) {
      writes.push(this.#write(enabled, type, time, record))
    }
    try {
      await (writes.length === 1 ? writes[0] : Promise.any(writes))
    } catch (error) {
      throw new PosternError('audit_failed', undefined, { cause: reasonOf(error) })
    }
  }

  async #write(
    enabled: EnabledDevice,
    type: LineType,
    time: number,
    record: AuditRecord,
  ): Promise<void> {
    try {
      await enabled.device.write(enabled.encoder.encode(type, time, record, this.#headers))
    } catch (error) {
      this.#noteFailure(enabled, error)
      throw error
    }
    if (!enabled.isFailing) return
    enabled.isFailing = false
    this.#options.log.info({ device: enabled.path }, 'an audit device works again')
  }

  /** Said once: with another device at work, nothing else would tell the operator. */
  #noteFailure(enabled: EnabledDevice, error: unknown): void {
    if (enabled.isFailing) return
    enabled.isFailing = true
    this.#options.log.error({ err: error, device: enabled.path }, 'an audit device fails')
  }

  #make(entry: DeviceEntry): EnabledDevice {
    const options = parseDeviceOptions(entry.type, entry.options)
    const hasher = new Hasher(entry.salt)
    return {
      path: entry.path,
      made: madeFrom(entry),
      device: deviceOf(options, entry.fromConfig || this.#options.auditDir === 'any'),
      encoder: new LineEncoder(options.format, hasher),
      hasher,
      isFailing: false,
    }
  }
}

function deviceOf(options: DeviceOptions, followsLinks: boolean): AuditDevice {
  const { target, mode, prefix, sync } = options
  if (target === 'stdout') return new StdoutDevice({ prefix })
  if (target === 'discard') return discardDevice
  return new FileDevice({ file: target.file, mode, prefix, sync, followsLinks })
}

function madeFrom({ type, options, salt, fromConfig }: DeviceEntry): string {
  const sorted = Object.entries(options).sort(([one], [other]) => (one < other ? -1 : 1))
  return JSON.stringify([type, sorted, salt, fromConfig])
}

async function shut({ device, hasher }: EnabledDevice): Promise<void> {
  await device.close()
  hasher.clear()
}

function reasonOf(error: unknown): unknown {
  if (!(error instanceof AggregateError)) return error
  const reasons = error.errors.map(({ message }: Error) => message)
  return new Error(reasons.join('; ') || 'the audit log is closed', { cause: error })
}

const testRecord: AuditRecord = {
  request: {
    id: '',
    operation: 'update',
    path: TEST_PATH,
    data: new Map(),
    declared: new Set(),
    secretParts: [],
    token: undefined,
    remoteAddress: '',
    remotePort: 0,
    wrapTtlSeconds: undefined,
    headers: new Map(),
    clientCertificateSerial: undefined,
    mount: undefined,
  },
  caller: undefined,
}
