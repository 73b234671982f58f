/** Lines of known_hosts, with the real ssh-keygen as oracle for names and hashes. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { SshFormatError } from '../../../src/errors.ts'
import { knownHostName, knownKeysOf, parseKnownHosts } from '../../../src/ssh/key/known-hosts.ts'
import { fuzz } from '../../fuzz/runs.ts'
import { cpuMilliseconds } from '../../support/cpu-time.ts'
import { vector, vectorPublicKey } from '../support.ts'

const ED25519 = vector('ed25519.pub').split(' ').slice(0, 2).join(' ')
const RSA = vector('rsa.pub').split(' ').slice(0, 2).join(' ')

/** What our reading and ssh-keygen's say of a file that names the host or does not. */
function compare(names: string, host: string): { ours: boolean; theirs: boolean } {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-known-'))
  try {
    const file = path.join(folder, 'known_hosts')
    writeFileSync(file, `${names} ${ED25519}\n`)
    const { status } = spawnSync('ssh-keygen', ['-F', host, '-f', file])
    const ours = parseKnownHosts(readFileSync(file, 'utf8')).some((line) => line.isFor(host))
    return { ours, theirs: status === 0 }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('names match where ssh-keygen finds them', () => {
  const cases: readonly [string, string, boolean][] = [
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.11', false],
    ['web,10.0.0.1', '10.0.0.1', true],
    ['10.0.0.*', '10.0.0.7', true],
    ['10.0.?.1', '10.0.12.1', false],
    ['*,!10.0.0.1', '10.0.0.1', false],
    ['!10.0.0.1', '10.0.0.2', false],
    ['[10.0.0.1]:2222', '[10.0.0.1]:2222', true],
    ['10.0.0.1', '[10.0.0.1]:2222', false],
    ['FE80::1', 'fe80::1', true],
    ['*', '2001:db8::1', true],
  ]
  for (const [names, host, isFor] of cases) {
    assert.deepEqual(compare(names, host), { ours: isFor, theirs: isFor }, `${names} ${host}`)
  }
})

test('hashed names match as ssh-keygen -H wrote them', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-known-'))
  try {
    const file = path.join(folder, 'known_hosts')
    writeFileSync(file, `10.0.0.1 ${ED25519}\n[10.0.0.1]:2222 ${RSA}\n`)
    execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'pipe' })
    const text = readFileSync(file, 'utf8')
    assert.equal(text.includes('10.0.0.1'), false)
    const hosts = parseKnownHosts(text)
    const types = (port: number) =>
      knownKeysOf(hosts, '10.0.0.1', port).map(({ key }) => key.algorithm.name)
    assert.deepEqual([types(22), types(2222)], [['ssh-ed25519'], ['ssh-rsa']])
    assert.deepEqual(knownKeysOf(hosts, '10.0.0.2', 22), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a host on another port is known by its bare name where no line names the port', () => {
  const hosts = parseKnownHosts(`10.0.0.1 ${ED25519}`)
  assert.equal(knownHostName('10.0.0.1', 2222), '[10.0.0.1]:2222')
  assert.deepEqual(
    knownKeysOf(hosts, '10.0.0.1', 2222).map(({ key }) => key.blob),
    [vectorPublicKey('ed25519').blob],
  )
})

test('CVE-2026-42508: comments and blank lines are passed over, a revoked key is marked', () => {
  const text = `# ours\n\n10.0.0.1 ${ED25519} root@web\r\n  @revoked * ${RSA}\n`
  const hosts = parseKnownHosts(text)
  assert.deepEqual(
    hosts.map(({ isRevoked, key }) => [isRevoked, key.algorithm.name]),
    [
      [false, 'ssh-ed25519'],
      [true, 'ssh-rsa'],
    ],
  )
})

test('what is no line of plain keys is refused with its number', () => {
  const cases: readonly [string, RegExp][] = [
    [`@cert-authority * ${ED25519}`, /line 1: @cert-authority is not supported/],
    [`\n@other * ${ED25519}`, /line 2: unknown marker "@other"/],
    [ED25519, /line 1: a line has the names of the host, the key type and the key/],
    ['* ssh-ed25519 AAAA', /line 1/],
    [`* ssh-rsa ${ED25519.split(' ')[1]}`, /line 1: the line says ssh-rsa/],
    [`|1|AAAA|AAAA ${ED25519}`, /line 1: a hashed host name/],
    [`|2|AAAA|AAAA ${ED25519}`, /line 1: a hashed host name/],
    [`${'a'.repeat(513)} ${ED25519}`, /line 1: a host name is too long/],
    ['#'.repeat(300_000), /too long/],
  ]
  for (const [text, message] of cases) assert.throws(() => parseKnownHosts(text), { message })
})

test('no text makes the parser throw anything but SshFormatError', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (names, rest) => {
      try {
        const hosts = parseKnownHosts(`${names} ${ED25519}\n${rest}`)
        for (const host of hosts) host.isFor('10.0.0.1')
      } catch (error) {
        assert.ok(error instanceof SshFormatError, String(error))
      }
    }),
    fuzz(300),
  )
})

test('a pattern of many stars is matched in no time', () => {
  const [host] = parseKnownHosts(`${'*a'.repeat(250)}b ${ED25519}`)
  const took = cpuMilliseconds(() => assert.equal(host?.isFor('a'.repeat(500)), false))
  assert.ok(took < 200, `took ${took} ms`)
})
