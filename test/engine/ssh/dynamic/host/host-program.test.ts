/** What is composed for which server, and what its failures are read as (protocols 4.2, 4.6, 4.7). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import {
  failureOf,
  installProgram,
  type KeyPlace,
  MAX_KEYS,
  uninstallProgram,
} from '../../../../../src/engine/ssh/dynamic/host/host-program.ts'
import { PosternError } from '../../../../../src/errors.ts'

const key = {
  publicKey: `ssh-ed25519 AAAA${'B'.repeat(64)}`,
  keyOptionSpecs: '',
  leaseId: 'ssh/creds/web/abc',
  expiresAt: Date.UTC(2026, 10, 22, 18),
}
const place: KeyPlace = {
  username: 'alice',
  mayBeRoot: false,
  authorizedKeys: 'user',
  installScript: '',
}

test('protocols 4.7: servers before OpenSSH 7.7 and others get no key, but have keys removed', () => {
  const install = installProgram(place, [key])
  for (const version of ['OpenSSH_7.6p1', 'OpenSSH_6.9', 'dropbear_2022.83', '', 'xOpenSSH_9.9']) {
    assert.throws(
      () => install(version),
      (error) => {
        return error instanceof PosternError && /need OpenSSH 7.7 or newer/.test(error.message)
      },
    )
    assert.match(uninstallProgram(place, [key])(version), /AAAAB/)
  }
})

test('protocols 4.7: the local time is asked for before OpenSSH 9.1, and only where a line is written', () => {
  const isLocal = (text: string) => text.includes('in_local_time ')
  const install = installProgram(place, [key])
  for (const version of ['OpenSSH_7.7', 'OpenSSH_8.9p1 Ubuntu-3ubuntu0.10', 'OpenSSH_9.0']) {
    assert.equal(isLocal(install(version)), true, version)
    assert.equal(isLocal(uninstallProgram(place, [key])(version)), false)
  }
  for (const version of ['OpenSSH_9.1', 'OpenSSH_9.2p1 Debian-2', 'OpenSSH_10.0p2']) {
    assert.equal(isLocal(install(version)), false, version)
  }
})

test('a program that is cut anywhere does nothing', () => {
  const program = installProgram({ ...place, username: 'nobody-is-here' }, [key])('OpenSSH_9.2p1')
  for (let length = 0; length < program.length - 2; length += 397) {
    // Were it run, it would say that there is no such user, or no sudo.
    const { stdout, stderr } = spawnSync('dash', ['-s'], {
      input: program.slice(0, length),
      encoding: 'utf8',
    })
    assert.equal(stdout, '')
    assert.doesNotMatch(stderr, /postern: /)
  }
})

test('protocols 4.2: names that are none, and numbers of keys that are out of bounds, make no program', () => {
  const compose = (more: Partial<KeyPlace>, count = 1) => {
    return installProgram({ ...place, ...more }, Array(count).fill(key))('OpenSSH_9.2p1')
  }
  for (const username of ['0', 'a b', "a'b", 'a\nb', '']) {
    assert.throws(() => compose({ username }), TypeError)
  }
  assert.throws(() => compose({}, 0), RangeError)
  assert.throws(() => compose({}, MAX_KEYS + 1), RangeError)
  assert.throws(() => compose({ installScript: 'true' }, 2), RangeError)
})

test('protocols 4.6: a failure is one printable line, of ours when there is one, and without the key', () => {
  const failure = (status: number | null, stderr: string, signal?: string) =>
    failureOf({ status, stderr, stdout: '', serverVersion: '', ...(signal ? { signal } : {}) })
  assert.equal(failure(0, 'postern: ignored\n'), undefined)
  assert.equal(failure(1, 'Welcome!\npostern: no \x1b[31mhome\nmore\n'), 'no ?[31mhome')
  assert.equal(failure(127, 'Welcome!\nsh: not found\n'), 'sh: not found')
  assert.equal(failure(9, ' \n'), 'the program on the host ended with status 9')
  assert.equal(failure(null, '', 'SIGKILL'), 'the program on the host was ended by SIGKILL')
  assert.equal(failure(1, `postern: bad ${key.publicKey} there`), 'bad ssh-ed25519 [key] there')
  assert.equal(failure(1, `postern: ${'x'.repeat(999)}`)?.length, 256)
})
