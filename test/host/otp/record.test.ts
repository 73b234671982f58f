import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import {
  type OtpLogin,
  processChain,
  putOtpLogin,
  type Session,
  takeOtpLogin,
} from '../../../src/host/otp/record.ts'

const now = 1_790_000_000_000
const monitor = { pid: 4001, start: 77 }
const login: OtpLogin = {
  user: 'alice',
  rhost: '10.0.0.9',
  otpSha256: 'ab'.repeat(32),
  role: 'web',
  lease: 'ssh/creds/web/abc',
  processes: [{ pid: 4002, start: 78 }, monitor],
}
const session: Session = { user: 'alice', rhost: '10.0.0.9', process: monitor }

suite('the record of an accepted OTP', () => {
  let root: string
  let folder: string
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'postern-record-'))
    folder = path.join(root, 'otp')
  })
  afterEach(() => rmSync(root, { recursive: true }))

  test('leaves the folder above open to others, and its own closed', () => {
    const own = path.join(root, 'run/otp')
    putOtpLogin(own, login, now)
    const modes = [path.dirname(own), own].map((place) => statSync(place).mode & 0o055)
    assert.deepEqual(modes, [0o055, 0])
  })

  test('is given once, to the session of the same user, client and sshd process', () => {
    putOtpLogin(folder, login, now)
    assert.deepEqual(takeOtpLogin(folder, session, now + 59_000), login)
    assert.equal(takeOtpLogin(folder, session, now + 59_000), undefined)
  })

  const others: readonly [string, Partial<Session>][] = [
    ['user', { user: 'bob' }],
    ['client', { rhost: '10.0.0.8' }],
    ['process', { process: { pid: 4003, start: 77 } }],
    ['process that got the same number later', { process: { pid: 4001, start: 99 } }],
  ]
  for (const [what, change] of others) {
    test(`is not for another ${what}`, () => {
      putOtpLogin(folder, login, now)
      assert.equal(takeOtpLogin(folder, { ...session, ...change }, now), undefined)
      assert.deepEqual(takeOtpLogin(folder, session, now), login)
    })
  }

  test('is good for a session within 60 s, whenever that is looked at', () => {
    putOtpLogin(folder, login, now)
    assert.equal(takeOtpLogin(folder, session, now + 60_000), undefined)
    putOtpLogin(folder, { ...login, user: 'bob' }, now + 3_600_000)
    assert.deepEqual(takeOtpLogin(folder, session, now + 59_000), login)
  })

  test('goes after a day, and when there are too many', () => {
    putOtpLogin(folder, login, now)
    putOtpLogin(folder, { ...login, user: 'bob' }, now + 86_400_000)
    assert.equal(readdirSync(folder).length, 1)
    for (let at = 0; at < 4100; at++) {
      const name = `${now + 86_400_000 + at}-2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c`
      writeFileSync(path.join(folder, name), '{}')
    }
    putOtpLogin(folder, login, now + 86_410_000)
    assert.equal(readdirSync(folder).length, 4000)
    assert.deepEqual(takeOtpLogin(folder, session, now + 86_410_000), login)
  })

  test('of two on one connection the last is the one', () => {
    putOtpLogin(folder, login, now)
    putOtpLogin(folder, { ...login, role: 'db' }, now + 1)
    assert.equal(takeOtpLogin(folder, session, now + 2)?.role, 'db')
  })

  test('is for root alone, and a folder of others is neither written nor believed', () => {
    putOtpLogin(folder, login, now)
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    const [name = ''] = readdirSync(folder)
    assert.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600)
    chmodSync(folder, 0o777)
    assert.equal(takeOtpLogin(folder, session, now), undefined)
    assert.throws(() => putOtpLogin(folder, login, now), /belongs to somebody else/)
  })

  test('files of other names and contents are passed over', () => {
    putOtpLogin(folder, login, now)
    writeFileSync(path.join(folder, 'notes'), JSON.stringify(login))
    const bad = `${now + 5}-2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c`
    writeFileSync(path.join(folder, bad), '{')
    writeFileSync(path.join(folder, `.${bad}`), JSON.stringify({ ...login, role: 'draft' }))
    assert.deepEqual(takeOtpLogin(folder, session, now + 5), login)
  })

  test('the chain of a process begins with itself and ends before the first of the machine', () => {
    const chain = processChain(process.pid)
    assert.equal(chain[0]?.pid, process.pid)
    assert.equal(chain[1]?.pid, process.ppid === 1 ? undefined : process.ppid)
    assert.ok(chain.length <= 5 && chain.every(({ pid, start }) => pid > 1 && start > 0))
    assert.deepEqual(processChain(0x7fffffff), [])
  })
})
