/** Records and devices for the tests of this folder. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { AuditBroker, type DeviceEntry } from '../../src/audit/broker.ts'
import type { AuditDir } from '../../src/audit/options.ts'
import type { AuditedRequest, AuditRecord } from '../../src/audit/record.ts'

export const SALT: string = 'ab'.repeat(32)
export const NOW: number = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
export const TOKEN = 's.abcdefghijklmnopqrstuvwx'
export const OTP = '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c'

export const sshMount = {
  path: 'ssh/',
  type: 'ssh',
  accessor: 'ssh_12345678',
  class: 'secret',
  plainRequestKeys: [],
  plainResponseKeys: [],
} as const

export function requestOf(changes: Partial<AuditedRequest> = {}): AuditedRequest {
  return {
    id: 'id-1',
    operation: 'update',
    path: 'ssh/creds/otp',
    data: new Map(),
    declared: new Set(),
    secretParts: [],
    token: undefined,
    remoteAddress: '127.0.0.1',
    remotePort: 4711,
    wrapTtlSeconds: undefined,
    headers: new Map(),
    clientCertificateSerial: undefined,
    mount: sshMount,
    ...changes,
  }
}

export const caller: NonNullable<AuditRecord['caller']> = {
  accessor: 'accessor-1',
  displayName: 'token-alice',
  policies: ['default', 'ssh'],
  metadata: { team: 'blue' },
  entityId: '',
  numUses: 5,
  remainingUses: 4,
  tokenTtlSeconds: 3600,
  tokenIssuedAt: Date.UTC(2026, 0, 2, 3, 0, 0, 999),
  tokenType: 'service',
}

/** A folder of its own that is removed when the test ends. */
export async function tempFolder(): Promise<{ readonly folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(path.join(tmpdir(), 'postern-audit-'))
  return {
    folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

export function entryOf(file: string, changes: Partial<DeviceEntry> = {}): DeviceEntry {
  return {
    path: 'file/',
    type: 'file',
    options: { file_path: file },
    salt: SALT,
    fromConfig: false,
    ...changes,
  }
}

export interface TestBroker extends AsyncDisposable {
  readonly broker: AuditBroker
  /** What the server log was told. */
  readonly messages: string[]
}

export function brokerOf(
  { auditDir }: { readonly auditDir: AuditDir } = { auditDir: 'any' },
): TestBroker {
  const messages: string[] = []
  const note = (_details: object, message: string) => void messages.push(message)
  const broker = new AuditBroker({
    clock: { now: () => NOW },
    auditDir,
    log: { error: note, info: note },
  })
  return { broker, messages, [Symbol.asyncDispose]: () => broker.close() }
}
