import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { readHostKeys } from '../../../src/host/enrolment/signed-request.ts'
import { vector } from '../../ssh/support.ts'

suite("a host's own keys", () => {
  let folder: string
  const at = (name: string) => path.join(folder, `ssh_host_${name}_key`)
  const kinds = () =>
    readHostKeys(path.join(folder, 'ssh_host_*_key')).map(({ publicKey }) => publicKey.kind)
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-host-keys-'))
    for (const name of ['p256', 'ed25519']) writeFileSync(at(name), vector(`${name}.key`))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test('come with Ed25519 first', () => {
    assert.deepEqual(kinds(), ['ed25519', 'ecdsa'])
  })

  test('are without what no host is known by: DSA of old images, a file that is empty or no key', () => {
    writeFileSync(
      at('dsa'),
      '-----BEGIN DSA PRIVATE KEY-----\nMIIB\n-----END DSA PRIVATE KEY-----\n',
    )
    writeFileSync(at('empty'), '')
    mkdirSync(at('folder'))
    assert.deepEqual(kinds(), ['ed25519', 'ecdsa'])
  })

  test('are missed where none can be read', () => {
    for (const name of ['p256', 'ed25519']) rmSync(at(name))
    writeFileSync(at('ed25519'), '')
    assert.throws(kinds, /there is no host key that can be used/)
  })
})
