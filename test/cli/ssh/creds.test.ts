/** `postern ssh` against a server with canned answers and a stand-in for ssh. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { runCli } from '../../../src/cli/run.ts'
import { type Answerer, type SeenRequest, startFakeServer } from '../../client/fake-server.ts'

const KEY = '-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----'

suite('a credential of creds', () => {
  let folder: string
  let standIn: string

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-creds-'))
    standIn = path.join(folder, 'ssh')
    const lines = [
      '#!/bin/sh',
      '[ "$1" = -V ] && { echo OpenSSH_8.0p1 >&2; exit; }',
      `[ "$1" = -G ] && { printf 'user alice\\nhostname 10.0.0.7\\nport %s\\n' "\${PORT:-22}"; exit; }`,
      `for word; do echo "$word"; done > ${folder}/args`,
      `for word; do case "$word" in IdentityFile=*) eval "file=\${word#IdentityFile=}"; /bin/ls -l "$file"; /bin/cat "$file";; esac; done > ${folder}/key`,
      'exit 9',
    ]
    writeFileSync(standIn, `${lines.join('\n')}\n`)
    chmodSync(standIn, 0o755)
  })
  after(() => rmSync(folder, { recursive: true }))

  async function session(answer: Answerer, words: readonly string[], port = '22') {
    await using server = await startFakeServer(answer)
    const written: string[] = []
    const status = await runCli(['ssh', `-ssh-executable=${standIn}`, ...words], {
      environment: { VAULT_ADDR: server.address, VAULT_TOKEN: 't', PATH: '', PORT: port },
      home: folder,
      isInteractive: false,
      outputIsTerminal: false,
      write: () => assert.fail('nothing goes to standard output'),
      writeError: (text) => written.push(text),
      readInput: async () => '',
      readHidden: async () => '',
    })
    const args = readFileSync(path.join(folder, 'args'), 'utf8').trimEnd().split('\n')
    return { status, errors: written.join(''), args, seen: server.seen.map(shown) }
  }

  const shown = ({ method, url, body }: SeenRequest) => `${method} ${url} ${body}`.trim()

  const creds =
    (data: object): Answerer =>
    ({ url }) => {
      if (url === '/v1/sys/leases/revoke') return { status: 204 }
      return { body: { lease_id: 'ssh/creds/r/1', lease_duration: 600, renewable: true, data } }
    }

  const dynamic = { key: KEY, key_type: 'dynamic', ip: '10.0.0.7', username: 'alice' }

  test('a dynamic key goes to a private file, and its lease is revoked when ssh ends', async () => {
    const answer = creds({ ...dynamic, port: 22 })
    const { status, args, seen } = await session(answer, ['-mode=dynamic', '-role=r', 'h', 'ls'])
    assert.equal(status, 9)
    assert.deepEqual(seen, [
      'PUT /v1/ssh/creds/r {"ip":"10.0.0.7","username":"alice"}',
      'PUT /v1/sys/leases/revoke {"lease_id":"ssh/creds/r/1"}',
    ])
    const [mode, ...lines] = readFileSync(path.join(folder, 'key'), 'utf8').split('\n')
    assert.match(mode ?? '', /^-rw-------/)
    assert.equal(lines.join('\n'), `${KEY}\n`)
    assert.deepEqual(args.slice(-2), ['h', 'ls'])
    assert.ok(args.includes('IdentitiesOnly=yes'))
    assert.ok(args.includes('AddKeysToAgent=no'))
    assert.doesNotMatch(args.join(' '), /BEGIN/)
  })

  test("the role's port counts where nothing else says one; it may be text", async () => {
    const answer = creds({ ...dynamic, port: '2222' })
    const flags = ['-mode=dynamic', '-role=r', 'h']
    assert.deepEqual((await session(answer, flags)).args.slice(0, 2), ['-p', '2222'])
    assert.ok(!(await session(answer, [...flags, '-p', '22'])).args.includes('2222'))
    assert.ok(!(await session(answer, flags, '2200')).args.includes('2222'))
  })

  test('a password that can not be typed is shown, and revoked when ssh ends', async () => {
    const otp = '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c'
    const answer = creds({ key: otp, key_type: 'otp', port: 22 })
    const { status, errors, args, seen } = await session(answer, ['-mode=otp', '-role=r', 'h'])
    assert.equal(status, 9)
    assert.equal(
      errors,
      `OTP for the session is \`${otp}\`\n[Note: Install \`sshpass\` to automate typing in OTP]\n`,
    )
    assert.doesNotMatch(args.join(' '), new RegExp(otp))
    assert.deepEqual(seen, [
      'PUT /v1/ssh/creds/r {"ip":"10.0.0.7","username":"alice","login_host":"10.0.0.7"}',
      'PUT /v1/sys/leases/revoke {"lease_id":"ssh/creds/r/1"}',
    ])
  })

  test('a password is for the host that the user names, whatever its address is called here', async () => {
    const answer = creds({ key: '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c', key_type: 'otp', port: 22 })
    const { seen } = await session(answer, ['-mode=otp', '-role=r', '-host=web-1', 'h'])
    assert.equal(seen[0], 'PUT /v1/ssh/creds/r {"username":"alice","host":"web-1"}')
    for (const words of [
      ['-mode=dynamic', '-host=web-1'],
      ['-mode=otp', '-group=web'],
      ['-mode=otp', '-tag=env=prod'],
    ]) {
      const refused = await session(answer, [...words, '-role=r', 'h'])
      assert.notEqual(refused.status, 9)
      assert.deepEqual(refused.seen, [])
    }
  })

  test('an answer without a credential is refused, and its lease revoked', async () => {
    const { status, errors, seen } = await session(creds({ key_type: 'other', key: 'x' }), [
      '-mode=otp',
      '-role=r',
      'h',
    ])
    assert.equal(status, 2)
    assert.match(errors, /no credential for ssh/)
    assert.equal(seen.length, 2)
  })
})
