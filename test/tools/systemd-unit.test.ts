/** The systemd units keep server and host service apart (protocols 6.1). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

const packaging = path.resolve(import.meta.dirname, '../../packaging')
const linesOf = (unit: string) => readFileSync(path.join(packaging, unit), 'utf8').split('\n')
const lines = linesOf('postern.service')

function assertLines(unit: string, wanted: readonly string[]): void {
  for (const line of wanted) {
    const [name] = line.split('=')
    const found = linesOf(unit).filter((other) => other.startsWith(`${name}=`))
    assert.deepEqual(found, [line])
  }
}

test('protocols 6.1: the unit takes swap, core files, privileges and other processes from the server', () => {
  assertLines('postern.service', [
    'User=postern',
    'LimitCORE=0',
    'MemorySwapMax=0',
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=',
    'ProtectSystem=strict',
    'ProtectProc=invisible',
    'UnsetEnvironment=NODE_OPTIONS',
  ])
})

test('protocols 6.1: the service of a host has swap, core files, privileges and folders taken from it too', () => {
  assertLines('postern-host.service', [
    'LimitCORE=0',
    'MemorySwapMax=0',
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL',
    'ProtectSystem=strict',
    'ReadWritePaths=/etc/ssh /run',
    'UnsetEnvironment=NODE_OPTIONS',
    'Restart=always',
  ])
})

test('protocols 6.1: the seal key comes as a credential, and no secret stands in the unit', () => {
  assert.ok(lines.includes('# LoadCredential=seal-key:/etc/postern/seal-key'))
  assert.equal(
    lines.some((line) => /^(Environment|EnvironmentFile|PassEnvironment)=/.test(line)),
    false,
  )
})

test('systemd, where there is one, reads the units without a complaint', () => {
  for (const name of ['postern.service', 'postern-host.service']) {
    const unit = path.join(packaging, name)
    const { stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' })
    const complaints = (stderr ?? '').split('\n').filter((line) => line.includes(name))
    // The program need not be installed here.
    const real = complaints.filter((line) => !/is not executable/.test(line))
    assert.deepEqual(real, [])
  }
})
