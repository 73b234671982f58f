/** The table of audit devices: those of the config file and those that the API enabled (contract 10, Decision 10). */
import { badRequest, PosternError } from '../../errors.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import { secretBytes } from '../../random.ts'
import { GENERATION_KEY } from '../../storage/path.ts'
import type { Store } from '../../storage/store.ts'
import { decodeRecord, encodeRecord } from '../../storage/view.ts'
import type { AuditDeviceEntry, AuditServices } from '../../sys/services.ts'
import type { ConfigCache } from '../config/config-cache.ts'

const AUDIT_KEY = 'cfg/audit'
const SALT_BYTES = 32

export interface StoredDevice extends AuditDeviceEntry {
  /** Key of the device's hashes. */
  readonly salt: string
  readonly fromConfig: boolean
}

interface AuditTable {
  readonly devices: readonly StoredDevice[]
  readonly headers: readonly (readonly [string, { readonly hmac: boolean }])[]
}

const EMPTY: AuditTable = { devices: [], headers: [] }

/** The part of the broker that the table drives. */
export interface AuditDevices {
  configure(entries: readonly StoredDevice[]): Promise<void>
  /** Opens a device and writes a test line. Throws badRequest with the reason. */
  tryDevice(entry: StoredDevice): Promise<void>
  setRequestHeaders(headers: ReadonlyMap<string, { readonly hmac: boolean }>): void
  hash(path: string, input: string): string | undefined
}

export interface AuditTableOptions {
  readonly store: Store
  readonly cache: ConfigCache
  readonly devices: AuditDevices
  readonly configDevices: readonly AuditDeviceEntry[]
}

/** Reads the table at unseal, gives the config file's new devices a salt, and opens all. */
export async function openAuditDevices(options: AuditTableOptions): Promise<void> {
  const { store, devices, configDevices } = options
  const [entry] = await store.get([AUDIT_KEY])
  const table = entry ? decodeRecord<AuditTable>(entry.value) : EMPTY
  const known = new Map(table.devices.map((device) => [device.path, device]))
  const fromConfig = configDevices.map((device) => ({
    ...device,
    salt: known.get(device.path)?.salt ?? newSalt(),
    fromConfig: true,
  }))
  const configPaths = new Set(fromConfig.map(({ path }) => path))
  const fromApi = table.devices.filter(
    (device) => !device.fromConfig && !configPaths.has(device.path),
  )
  const merged: AuditTable = { devices: [...fromConfig, ...fromApi], headers: table.headers }
  if (JSON.stringify(merged) !== JSON.stringify(table)) {
    await store.commit([{ key: AUDIT_KEY, value: encodeRecord(merged) }], [])
  }
  devices.setRequestHeaders(new Map(merged.headers))
  await devices.configure(merged.devices)
}

function newSalt(): string {
  return secretBytes(SALT_BYTES).toString('hex')
}

export function auditServices({ store, cache, devices }: AuditTableOptions): AuditServices {
  const read = async (): Promise<AuditTable> => {
    const [generation] = await store.get([GENERATION_KEY])
    const table = await cache
      .at(generation)
      .get(AUDIT_KEY, (value) => decodeRecord<AuditTable>(value))
    return table ?? EMPTY
  }
  const write = (table: AuditTable): Outcome => ({
    writes: [{ key: AUDIT_KEY, value: encodeRecord(table) }],
    followUp: async () => {
      devices.setRequestHeaders(new Map(table.headers))
      await devices.configure(table.devices)
    },
  })
  return {
    list: async () => (await read()).devices,
    enable: async (_call: Call, entry) => {
      const table = await read()
      if (table.devices.some(({ path }) => path === entry.path))
        throw badRequest('path already in use')
      const device: StoredDevice = { ...entry, salt: newSalt(), fromConfig: false }
      await devices.tryDevice(device)
      return write({ ...table, devices: [...table.devices, device] })
    },
    disable: async (_call: Call, path) => {
      const table = await read()
      const found = table.devices.find((device) => device.path === path)
      if (!found) return {}
      if (found.fromConfig) {
        throw new PosternError(
          'invalid_request',
          'this audit device is set in the server config; remove it there',
        )
      }
      return write({ ...table, devices: table.devices.filter((device) => device !== found) })
    },
    hash: (path, input) => devices.hash(path, input),
    requestHeaders: async () => new Map((await read()).headers),
    putRequestHeader: async (_call: Call, name, hmac) => {
      const table = await read()
      const others = table.headers.filter(([known]) => known !== name)
      const headers = hmac === undefined ? others : [...others, [name, { hmac }] as const]
      return write({ ...table, headers })
    },
  }
}
