/** What sshd makes of a configuration, by a real sshd: every account and every Match block is tried (protocols 5.3). */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { includePatterns, readDirectives } from '../../../src/host/sshd/directive.ts'
import {
  connectionsToTry,
  deviations,
  generalSettings,
  matchConflicts,
} from '../../../src/host/sshd/effective.ts'

/** The second one can't log in with a shell. */
const ACCOUNTS = [
  { name: 'root', hasShell: true },
  { name: 'nobody', hasShell: false },
]
const WANTED = [['AuthorizedPrincipalsFile', 'none']] as const
const CONFLICT = '  AuthorizedPrincipalsFile /etc/other\n'

suite("sshd's effective settings", () => {
  let folder: string

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-effective-'))
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(folder, 'key')])
  })

  after(() => rmSync(folder, { recursive: true }))

  function config(text: string, name = 'config'): string {
    const file = path.join(folder, name)
    writeFileSync(file, text)
    return file
  }

  async function deviationsOf(match: string) {
    const file = config(`HostKey ${folder}/key\nAuthorizedPrincipalsFile none\n${match}`)
    const connections = connectionsToTry(readDirectives(file), ACCOUNTS)
    return await deviations(file, WANTED, connections)
  }

  for (const [criteria, users] of [
    ['User nobody', ['nobody']],
    ['User "ghost*"', ['ghostx']],
    ['Group nogroup', ['nobody']],
    ['Host *.example.org', ['root']],
    ['Address 10.0.0.0/8', ['root']],
    ['Address 192.168.*', ['root']],
    ['Address 2001:db8::/32', ['root']],
    ['LocalAddress 10.9.9.9', ['root']],
    ['LocalPort 2222', ['root']],
    ['Address !10.1.0.0/16,10.0.0.0/8 User nobody', ['nobody']],
    ['all', ['root']],
  ] as const) {
    test(`a block for "${criteria}" shows`, async () => {
      const [found, ...others] = await deviationsOf(`Match ${criteria}\n${CONFLICT}`)
      assert.deepEqual(others, [])
      assert.equal(found?.found, '/etc/other')
      assert.deepEqual(found?.users, users)
    })
  }

  test('a block that changes something else does not', async () => {
    assert.deepEqual(await deviationsOf('Match User nobody\n  X11Forwarding no\n'), [])
  })

  test('settings are read as sshd says them, several of a kind too', async () => {
    const file = config(`HostKey ${folder}/key\nListenAddress 127.0.0.1:77\nListenAddress ::1\n`)
    const settings = await generalSettings(file)
    assert.deepEqual(settings.get('listenaddress'), ['127.0.0.1:77', '[::1]:22'])
  })

  test('lines have their file, number and Match blocks; a block ends with its included file', () => {
    const inner = config('Match User a\n  PermitTTY no\n', 'inner.conf')
    const file = config(
      `# first\nInclude ${folder}/*.conf\nPort=22\nMatch Address 10.0.0.1\n  Include "${inner}"\n  Banner none\n`,
    )
    assert.deepEqual(
      readDirectives(file).map((one) => [
        path.basename(one.file),
        one.line,
        one.keyword,
        one.match,
      ]),
      [
        ['config', 2, 'include', undefined],
        ['inner.conf', 1, 'match', 'User a'],
        ['inner.conf', 2, 'permittty', 'User a'],
        ['config', 3, 'port', undefined],
        ['config', 4, 'match', 'Address 10.0.0.1'],
        ['config', 5, 'include', 'Address 10.0.0.1'],
        ['inner.conf', 1, 'match', 'Address 10.0.0.1 User a'],
        ['inner.conf', 2, 'permittty', 'Address 10.0.0.1 User a'],
        ['config', 6, 'banner', 'Address 10.0.0.1'],
      ],
    )
    assert.deepEqual(includePatterns('a/*.conf "/b c"'), ['/etc/ssh/a/*.conf', '/b c'])
  })

  test('only a line in a Match block that sets ours to something else is a conflict', () => {
    const file = config(
      `AuthorizedPrincipalsFile /x\nMatch User a\n  authorizedprincipalsfile none\n  PermitTTY no\nMatch User b\n${CONFLICT}`,
    )
    assert.deepEqual(
      matchConflicts(readDirectives(file), WANTED).map(({ line }) => line),
      [6],
    )
  })
})
