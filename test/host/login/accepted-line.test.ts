import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  parseAccepted,
  parseJournalEntry,
  parseLogLine,
} from '../../../src/host/login/accepted-line.ts'

const KEY = 'SHA256:CwmjVUa/5QSEa8uqkhNHWs/QggiszlRI7BRHKV0da3U'
const CA = 'SHA256:+wWo+bDo9K3w8jnvsC73TATLkuolQjya6lTbfGSfOSA'
const PLAIN = `Accepted publickey for deploy from 198.18.0.1 port 37644 ssh2: ED25519 ${KEY}`
const CERTIFIED = `Accepted publickey for deploy from 198.18.0.1 port 37644 ssh2: ED25519-CERT ${KEY} ID token alice (serial 753) CA ED25519 ${CA}`
const now = Date.UTC(2026, 10, 23, 3)

suite("sshd's line of a login", () => {
  test('tells the key, and of a certificate serial, key id and CA', () => {
    const who = { user: 'deploy', from: '198.18.0.1', port: 37_644, method: 'publickey' }
    assert.deepEqual(parseAccepted(PLAIN), { ...who, fingerprint: KEY })
    const certificate = { serial: 753n, keyId: 'token alice', caFingerprint: CA }
    assert.deepEqual(parseAccepted(CERTIFIED), { ...who, fingerprint: KEY, certificate })
  })

  test('is there for passwords too, without a key', () => {
    const line = 'Accepted keyboard-interactive/pam for alice from 2001:DB8:0::7 port 22 ssh2'
    assert.deepEqual(parseAccepted(line), {
      ...{ user: 'alice', from: '2001:db8::7', port: 22, method: 'keyboard-interactive' },
    })
  })

  const others = [
    `Accepted certificate ID "x" (serial 7) signed by ED25519 CA ${CA} via /etc/ssh/ca.pub`,
    `Accepted key ED25519 ${KEY} found at /root/.ssh/authorized_keys:1`,
    'Postponed publickey for deploy from 198.18.0.1 port 37644 ssh2 [preauth]',
    `Failed publickey for deploy from 198.18.0.1 port 1 ssh2: ED25519 ${KEY}`,
    `Invalid user ${PLAIN} from 198.18.0.9 port 5`,
    `error: ${PLAIN}`,
    'Connection from 198.18.0.1 port 37644 on 198.18.0.2 port 22 rdomain ""',
  ]
  for (const line of others) {
    test(`CVE-2024-45337, hosts 1.3: no login is ${line.slice(0, 40)}…`, () => {
      assert.equal(parseAccepted(line), undefined)
      assert.equal(parseLogLine(`Nov 23 02:00:00 web-1 sshd[7]: ${line}`, 'b', now), undefined)
    })
  }

  test('an id that plays the rest of the line changes no serial and no CA', () => {
    const id = `x (serial 1) CA RSA ${KEY}`
    const line = CERTIFIED.replace('token alice', id)
    const { certificate } = parseAccepted(line) ?? {}
    assert.deepEqual(certificate, { serial: 753n, keyId: id, caFingerprint: CA })
  })

  test('an id that plays the whole line changes neither user nor address nor key', () => {
    const id = PLAIN.replace('Accepted publickey for deploy', 'x').replace('198.18.0.1', '10.0.0.9')
    const { user, from, fingerprint, certificate } =
      parseAccepted(CERTIFIED.replace('token alice', id)) ?? {}
    assert.deepEqual([user, from, fingerprint], ['deploy', '198.18.0.1', KEY])
    assert.deepEqual(certificate, { serial: 753n, keyId: id, caFingerprint: CA })
  })

  test('an id so long that sshd cuts serial and CA off plays none', () => {
    const id = `x (serial 1) CA RSA ${KEY} `.padEnd(1000, 'x')
    const line = CERTIFIED.replace('token alice', id).slice(0, 1021)
    assert.deepEqual(parseAccepted(line)?.fingerprint, KEY)
    assert.equal(parseAccepted(line)?.certificate, undefined)
  })
})

suite('a line of a log file', () => {
  const headers: readonly [string, string, number][] = [
    ['the classic form', 'Nov 23 02:00:00 web-1 sshd[42]: ', new Date(2026, 10, 23, 2).getTime()],
    ['ISO times', '2026-11-23T02:00:00.5+00:00 web-1 sshd[42]: ', Date.UTC(2026, 10, 23, 2) + 500],
    [
      'a facility',
      'Nov 23 02:00:00 web-1 auth.info sshd-session[42]: ',
      new Date(2026, 10, 23, 2).getTime(),
    ],
    ['the year before', 'Dec 31 23:00:00 web-1 sshd[42]: ', new Date(2025, 11, 31, 23).getTime()],
    ['a time to come', '2026-11-23T09:00:00Z web-1 sshd[42]: ', now],
  ]
  for (const [what, header, at] of headers) {
    test(`is read with ${what}`, () => {
      const { pid, at: read } = parseLogLine(header + PLAIN, 'b', now) ?? {}
      assert.deepEqual({ pid, read }, { pid: 42, read: at })
    })
  }

  test('of another program, or with sshd in the message, is none', () => {
    for (const header of ['su[42]: ', 'sshd: ', 'su[1]: x sshd[42]: ', 'notsshd[42]: ']) {
      assert.equal(parseLogLine(`Nov 23 02:00:00 web-1 ${header}${PLAIN}`, 'b', now), undefined)
    }
  })
})

suite('an entry of the journal', () => {
  const entry = {
    ...{ _UID: '0', _COMM: 'sshd', _PID: '42', _BOOT_ID: 'ab', MESSAGE: PLAIN },
    __REALTIME_TIMESTAMP: `${now}123`,
  }
  const read = (change: object) => parseJournalEntry(JSON.stringify({ ...entry, ...change }))

  test("is read with the journal's own process, boot and time", () => {
    const { pid, boot, at } = read({ SYSLOG_PID: '1' }) ?? {}
    assert.deepEqual({ pid, boot, at }, { pid: 42, boot: 'ab', at: now })
  })

  test('counts only from sshd of root: anybody can call themselves sshd', () => {
    assert.equal(read({ _UID: '1000', SYSLOG_IDENTIFIER: 'sshd' }), undefined)
    assert.equal(read({ _COMM: 'logger', SYSLOG_IDENTIFIER: 'sshd' }), undefined)
    assert.equal(read({ MESSAGE: [65, 66] }), undefined)
    assert.equal(parseJournalEntry('-- No entries --'), undefined)
  })
})
