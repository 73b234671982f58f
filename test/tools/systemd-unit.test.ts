/** The systemd unit keeps the server apart (protocols 6.1). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

const UNIT = path.resolve(import.meta.dirname, '../../packaging/postern.service')
const lines = readFileSync(UNIT, 'utf8').split('\n')

test('protocols 6.1: the unit takes swap, core files, privileges and other processes from the server', () => {
  const wanted = [
    'User=postern',
    'LimitCORE=0',
    'MemorySwapMax=0',
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=',
    'ProtectSystem=strict',
    'ProtectProc=invisible',
    'UnsetEnvironment=NODE_OPTIONS',
  ]
  for (const line of wanted) {
    const [name] = line.split('=')
    const found = lines.filter((other) => other.startsWith(`${name}=`))
    assert.deepEqual(found, [line])
  }
})

test('protocols 6.1: the seal key comes as a credential, and no secret stands in the unit', () => {
  assert.ok(lines.includes('# LoadCredential=seal-key:/etc/postern/seal-key'))
  assert.equal(
    lines.some((line) => /^(Environment|EnvironmentFile|PassEnvironment)=/.test(line)),
    false,
  )
})

test('systemd, where there is one, reads the unit without a complaint', () => {
  const { stderr } = spawnSync('systemd-analyze', ['verify', UNIT], { encoding: 'utf8' })
  const complaints = (stderr ?? '').split('\n').filter((line) => line.includes('postern.service'))
  // The program need not be installed here.
  const real = complaints.filter((line) => !/is not executable/.test(line))
  assert.deepEqual(real, [])
})
