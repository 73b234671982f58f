/** A real core with a CA mount, and what tests ask of its inventory and its list. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Response } from '../../../../src/core/request/response.ts'
import { parseAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { isSerialRevoked, type Krl, parseKrl } from '../../../../src/ssh/krl/parse-krl.ts'
import {
  mountCa,
  mountSsh,
  type SendOptions,
  startTestCore,
  type TestCore,
  tokenWith,
} from '../../../support/core.ts'

export const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'

const SIGN = 'path "ssh/sign/*" { capabilities = ["update"] }'
export const MAY_SIGN: string = `${SIGN} path "auth/token/create" { capabilities = ["update"] } path "auth/token/revoke-self" { capabilities = ["update"] }`

export async function startCa(
  t: TestContext,
  options: Parameters<typeof startTestCore>[0] = {},
): Promise<TestCore> {
  const core = await startTestCore(options)
  t.after(() => core.close())
  await mountSsh(core)
  await mountCa(core)
  return core
}

/** Signs and gives the serial number in hex. */
export async function signed(
  core: TestCore,
  options: SendOptions = {},
  role = 'sign',
): Promise<string> {
  const body = { public_key: PUBLIC_KEY }
  const { data } = await core.call('update', `ssh/sign/${role}`, body, options)
  return data?.['serial_number'] as string
}

export function signer(core: TestCore, data: object = {}): Promise<string> {
  return tokenWith(core, MAY_SIGN, data)
}

export function fetchKrl(
  core: TestCore,
  data: object = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  return core.send('read', 'ssh/krl', data, { token: '', headers })
}

export async function krlOf(core: TestCore): Promise<Krl> {
  const response = await fetchKrl(core)
  assert.ok(response.kind === 'bytes' && response.status === 200)
  return parseKrl(response.bytes)
}

export async function caBlob(core: TestCore): Promise<Buffer> {
  const { data } = await core.call('read', 'ssh/config/ca')
  return parseAuthorizedKey(data?.['public_key'] as string).blob
}

/** Which of these serial numbers the list refuses. */
export async function revokedOf(
  core: TestCore,
  serials: readonly string[],
  ca?: Buffer,
): Promise<string[]> {
  const krl = await krlOf(core)
  const key = ca ?? (await caBlob(core))
  return serials.filter((serial) => isSerialRevoked(krl, key, BigInt(`0x${serial}`)))
}
