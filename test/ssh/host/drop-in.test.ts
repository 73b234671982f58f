/** The drop-in, judged by a real sshd: protocols 5.3, hosts.md section 1. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parseSshVersion, sshdConfig, sshdSettings } from '../../../src/ssh/host/drop-in.ts'
import { sshVersion } from '../../support/sshd.ts'

const HOST = {
  hostId: 'web-1',
  groups: ['web', 'eu.west'],
  tags: [
    ['env', 'prod'],
    ['tier', 'front.1'],
  ],
  keepsAuthorizedKeys: false,
} as const

suite('the drop-in for sshd', () => {
  let folder: string

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-drop-in-'))
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(folder, 'key')])
  })

  after(() => rmSync(folder, { recursive: true }))

  /** What sshd makes of a config, by keyword, for a connection of `user`. */
  function effective(text: string, user = 'root'): Map<string, string> {
    const file = path.join(folder, 'config')
    writeFileSync(file, `HostKey ${folder}/key\n${text}\n`)
    execFileSync('/usr/sbin/sshd', ['-t', '-f', file])
    const place = `user=${user},host=client.example,addr=192.0.2.7`
    const output = execFileSync('/usr/sbin/sshd', ['-T', '-C', place, '-f', file])
    const lines = output.toString().trimEnd().split('\n')
    const found = lines.map((line): [string, string] => [
      line.split(' ', 1)[0]!.toLowerCase(),
      line.slice(line.indexOf(' ') + 1),
    ])
    // From 10.4 on "none" is not shown.
    return new Map([['authorizedkeysfile', 'none'], ...found])
  }

  function assertOurs(text: string, options: Parameters<typeof sshdSettings>[0], user?: string) {
    const found = effective(text, user)
    for (const [keyword, value] of sshdSettings(options)) {
      assert.equal(found.get(keyword.toLowerCase()), value, keyword)
    }
  }

  test('a real sshd takes every setting as it is meant', () => {
    assertOurs(sshdConfig(HOST), HOST)
    assertOurs(sshdConfig(HOST), HOST, 'nobody')
    const bare = { ...HOST, groups: [], tags: [] }
    assertOurs(sshdConfig(bare), bare)
  })

  test('its principals are those of the host, its groups and its tags, for whoever logs in', () => {
    const command = effective(sshdConfig(HOST)).get('authorizedprincipalscommand')
    assert.equal(
      command,
      '/usr/bin/printf "%%s\\n" %u@h.web-1 %u@g.web %u@g.eu.west %u@t.env.prod %u@t.tier.front.1',
    )
  })

  test('what comes behind it changes none of its settings', () => {
    const hostile = [
      'AuthorizedKeysFile .ssh/authorized_keys',
      'AuthorizedKeysCommand /usr/bin/false',
      'AuthorizedKeysCommandUser nobody',
      'AuthorizedPrincipalsFile /etc/principals/%u',
      'AuthorizedPrincipalsCommand /bin/echo %u',
      'TrustedUserCAKeys /etc/other_ca.pub',
      'RevokedKeys /etc/other.krl',
      'PubkeyAuthentication no',
      'LogLevel QUIET',
    ]
    assertOurs(`${sshdConfig(HOST)}${hostile.join('\n')}`, HOST)
  })

  test('an AuthorizedKeysCommand before it costs the principals: it has to come first (hosts 1.7)', () => {
    const before = 'AuthorizedKeysCommand /usr/bin/false\nAuthorizedKeysCommandUser nobody\n'
    const found = effective(`${before}${sshdConfig(HOST)}`)
    const [, ours] = sshdSettings(HOST).find(([name]) => name === 'AuthorizedPrincipalsCommand')!
    // Fixed in 10.4.
    const wanted = sshVersion() < 1004 ? 'none' : ours
    assert.equal(found.get('authorizedprincipalscommand'), wanted)
  })

  test('a later Match block does change them, and shows only for who matches (protocols 5.3)', () => {
    const text = `${sshdConfig(HOST)}Match User nobody\n  AuthorizedPrincipalsFile /etc/x\n`
    assertOurs(text, HOST)
    assert.equal(effective(text, 'nobody').get('authorizedprincipalsfile'), '/etc/x')
  })

  test('authorized_keys go on where that is asked for', () => {
    const found = effective(sshdConfig({ ...HOST, keepsAuthorizedKeys: true }))
    assert.equal(found.get('authorizedkeysfile'), '.ssh/authorized_keys .ssh/authorized_keys2')
    assert.equal(effective(sshdConfig(HOST)).get('authorizedkeysfile'), 'none')
  })

  test('a host certificate is named', () => {
    const options = { ...HOST, hostCertificates: ['/etc/ssh/postern/keys/a-cert.pub'] }
    assert.match(sshdConfig(options), /^HostCertificate \/etc\/ssh\/postern\/keys\/a-cert\.pub$/m)
  })

  test('no line ends in a comment, and %C is not used: old sshd reject or mistake them (hosts 1.6)', () => {
    const lines = sshdConfig(HOST).split('\n')
    assert.deepEqual(
      lines.filter((line) => line.slice(1).includes('#')),
      [],
    )
    assert.doesNotMatch(sshdConfig(HOST), /%[^%su]/)
  })

  test('an sshd before 7.9 is not told of CASignatureAlgorithms, one before 6.9 is refused', () => {
    assert.doesNotMatch(sshdConfig({ ...HOST, sshVersion: 704 }), /CASignature/)
    assert.match(sshdConfig({ ...HOST, sshVersion: 709 }), /CASignature/)
    assert.throws(() => sshdConfig({ ...HOST, sshVersion: 608 }), RangeError)
  })

  test('names that sshd could read as anything else are refused (protocols 5.2)', () => {
    for (const bad of [
      'web 1',
      'web"',
      'WEB',
      'web%u',
      '',
      'a,b',
      '-x',
      'a\nPermitRootLogin yes',
    ]) {
      assert.throws(() => sshdConfig({ ...HOST, hostId: bad }), JSON.stringify(bad))
      assert.throws(() => sshdConfig({ ...HOST, groups: [bad] }), JSON.stringify(bad))
      assert.throws(() => sshdConfig({ ...HOST, tags: [['k', bad]] }), JSON.stringify(bad))
      assert.throws(() => sshdConfig({ ...HOST, tags: [[`${bad}.`, 'v']] }), JSON.stringify(bad))
    }
  })

  test('versions are read from what ssh and sshd say', () => {
    assert.equal(parseSshVersion('OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19'), 902)
    assert.equal(parseSshVersion('SSH-2.0-OpenSSH_10.3'), 1003)
    assert.equal(parseSshVersion('OpenSSH_for_Windows'), undefined)
    assert.equal(parseSshVersion('SSH-2.0-dropbear_2022.83'), undefined)
  })
})
