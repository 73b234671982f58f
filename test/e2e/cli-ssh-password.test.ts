/** `postern ssh` with one-time passwords: the prompt answers itself (contract 8.3), or W2015's two lines are shown. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { type SshHosts, startSshHosts } from '../support/ssh-hosts.ts'
import { onTerminal } from '../support/terminal.ts'

const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')
const OTP = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/

suite('a session with a one-time password', () => {
  let hosts: SshHosts

  before(async () => {
    hosts = await startSshHosts()
  })
  beforeEach(() => {
    hosts.requests()
  })
  after(() => hosts[Symbol.asyncDispose]())

  const flags = ['-mode=otp', '-role=otp']

  /** A program in the place of ssh. */
  function standIn(name: string, script: string): string {
    const file = path.join(hosts.home, name)
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
    return file
  }

  test('answers the prompt by itself, once, and leaves nothing', async () => {
    const { status, output, errors } = await hosts.run(hosts.words('id -un', ...flags))
    assert.equal(status, 0, `${errors}\n${hosts.sshd.log()}`)
    assert.equal(output, `${hosts.user}\n`)
    assert.doesNotMatch(errors, OTP)
    assert.deepEqual(hosts.leftovers(), [])
    const made = hosts.requests().filter((request) => request !== 'update ssh/verify')
    // A spent password has no lease left to revoke.
    assert.deepEqual(made, ['update ssh/creds/otp'])
  })

  test('wraps nothing that it needs itself, whatever the environment says', async () => {
    const wrapping = { VAULT_WRAP_TTL: '5m' }
    const { status, errors } = await hosts.run(hosts.words('true', ...flags), wrapping)
    assert.equal(status, 0, errors)
  })

  test("has the mode from the role, and ssh's exit status", async () => {
    const { status } = await hosts.run(hosts.words('exit 3', '-role=otp'))
    assert.equal(status, 3)
    assert.equal(hosts.requests()[0], 'read ssh/roles/otp')
  })

  test('W2015: a token that may do no more than ask for a password needs no role', async () => {
    const policy =
      'path "ssh/lookup" { capabilities = ["update"] } path "ssh/creds/otp" { capabilities = ["update"] }'
    await hosts.api('PUT', 'sys/policies/acl/guest', { policy })
    const { body } = await hosts.api('POST', 'auth/token/create', { policies: ['guest'] })
    const { status, output, errors } = await hosts.run(hosts.words('id -un'), {
      VAULT_TOKEN: body.auth.client_token,
    })
    assert.equal(status, 0, errors)
    assert.equal(output, `${hosts.user}\n`)
  })

  test('has the password in no argument, no environment and no file of ssh', async () => {
    const spy = standIn(
      'spy',
      'case "$1" in -G|-V) exec ssh "$@";; esac\n{ echo "$@"; env; cat "$TMPDIR"/*/askpass; ls "$TMPDIR"/*; } > "$HOME/seen"\nexec ssh "$@"',
    )
    const { status, errors } = await hosts.run(
      hosts.words('true', ...flags, `-ssh-executable=${spy}`),
    )
    assert.equal(status, 0, errors)
    const seen = readFileSync(path.join(hosts.home, 'seen'), 'utf8')
    assert.match(seen, /NumberOfPasswordPrompts=1/)
    assert.match(seen, /PreferredAuthentications=keyboard-interactive,password/)
    assert.match(seen, /SSH_ASKPASS_REQUIRE=force/)
    assert.match(seen, /askpass\.sock/)
    assert.doesNotMatch(seen, OTP)
  })

  test('revokes a password that nobody asked for', async () => {
    const { status } = await hosts.run(['ssh', ...flags, `${hosts.user}@127.0.0.1`, '-p', '1'])
    assert.equal(status, 255)
    assert.deepEqual(hosts.requests(), ['update ssh/creds/otp', 'update sys/leases/revoke'])
  })

  test('fails where there is nobody to ask about the host key, and does not send the password', async () => {
    const known = path.join(hosts.home, 'known-none')
    const words = [...flags, `-user-known-hosts-file=${known}`, '-strict-host-key-checking=ask']
    const place = [`${hosts.user}@127.0.0.1`, '-p', `${hosts.sshd.port}`, 'true']
    const command = [process.execPath, BIN, 'ssh', ...words, ...place]
    const env = { ...process.env, ...hosts.env }
    assert.throws(
      // A session of its own has no terminal.
      () => execFileSync('setsid', ['-w', ...command], { env, stdio: 'pipe' }),
      (error: Error & { status: number; stderr: Buffer }) => {
        assert.equal(error.status, 255)
        assert.match(error.stderr.toString(), /Host key verification failed/)
        return true
      },
    )
    assert.equal(hosts.requests().includes('update ssh/verify'), false)
  })

  test('asks about the host key at the terminal, and answers the password after that', async () => {
    const known = path.join(hosts.home, 'known-new')
    const words = [...flags, `-user-known-hosts-file=${known}`, '-strict-host-key-checking=ask']
    const place = [`${hosts.user}@127.0.0.1`, '-p', `${hosts.sshd.port}`]
    const { status, output } = await onTerminal(
      [process.execPath, BIN, 'ssh', ...words, ...place, 'tty; id -un'],
      hosts.env,
      [[/continue connecting \(yes\/no\/\[fingerprint\]\)\? /, 'yes\n']],
    )
    assert.equal(status, 0, output)
    assert.match(output, new RegExp(`not a tty\n${hosts.user}\n`))
    assert.match(readFileSync(known, 'utf8'), / ssh-ed25519 /)
    assert.doesNotMatch(output, OTP)
    rmSync(known)
  })

  test('uses sshpass by a pipe where ssh knows no SSH_ASKPASS_REQUIRE', async () => {
    const old = standIn(
      'old-ssh',
      '[ "$1" = -V ] && { echo OpenSSH_8.0p1 >&2; exit 0; }\n[ "$1" = -G ] || { echo "$@"; env; } > "$HOME/seen"\nexec ssh "$@"',
    )
    const { status, output, errors } = await hosts.run(
      hosts.words('id -un', ...flags, `-ssh-executable=${old}`),
    )
    assert.equal(status, 0, errors)
    assert.equal(output, `${hosts.user}\n`)
    assert.doesNotMatch(readFileSync(path.join(hosts.home, 'seen'), 'utf8'), OTP)
  })

  test('uses sshpass as well where the path of a socket would be too long', async () => {
    const long = path.join(hosts.home, 'tmp', 'x'.repeat(100))
    mkdirSync(long)
    const { status, output, errors } = await hosts.run(hosts.words('id -un', ...flags), {
      TMPDIR: long,
    })
    assert.equal(status, 0, errors)
    assert.equal(output, `${hosts.user}\n`)
    assert.deepEqual(hosts.leftovers(), [long])
  })

  test('W2015: without sshpass the two lines are shown, and the password is typed', async () => {
    const old = standIn(
      'old-ssh',
      '[ "$1" = -V ] && { echo OpenSSH_8.0p1 >&2; exit 0; }\nexec /usr/bin/ssh "$@"',
    )
    const words = hosts.words('id -un', ...flags, `-ssh-executable=${old}`)
    // A shell that reads the password off the screen, as a person does.
    let typed = ''
    const { status, output } = await onTerminal(
      [process.execPath, BIN, ...words],
      { ...hosts.env, PATH: '/nonexistent' },
      [
        [
          /Password: $/,
          (shown) => {
            typed = OTP.exec(shown)?.[0] ?? ''
            return `${typed}\n`
          },
        ],
      ],
    )
    assert.equal(status, 0, output)
    assert.ok(
      output.startsWith(
        `OTP for the session is \`${typed}\`\n[Note: Install \`sshpass\` to automate typing in OTP]\n`,
      ),
      output,
    )
    assert.match(output, new RegExp(`${hosts.user}\n`))
  })

  test("the jump host's password is no business of the target's", async () => {
    const config = path.join(hosts.home, 'config')
    const known = 'StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n'
    writeFileSync(
      config,
      `Host jump\n  HostName 127.0.0.1\n  Port ${hosts.sshd.port}\n  User ${hosts.user}\n  PreferredAuthentications keyboard-interactive\n  HostKeyAlias jump\n  ${known}Host behind\n  HostName localhost\n  Port ${hosts.sshd.port}\n  ProxyJump jump\n  User ${hosts.user}\n  ${known}`,
    )
    // The first question is the jump host's: it goes to the terminal, and is answered wrongly.
    const { status, output } = await onTerminal(
      [process.execPath, BIN, 'ssh', ...flags, 'behind', '-F', config, 'id -un'],
      hosts.env,
      [[/Password: $/, '\x03']],
    )
    assert.notEqual(status, 0)
    assert.match(output, /\(\S+@jump\) Password: /)
    const made = hosts.requests()
    assert.equal(made.includes('update ssh/verify'), false, made.join('\n'))
    assert.equal(made.at(-1), 'update sys/leases/revoke')
  })

  test('says when the host has no address, or the role refuses it', async () => {
    const unknown = await hosts.run(['ssh', ...flags, `${hosts.user}@no-such-host.invalid`])
    assert.equal(unknown.status, 1)
    assert.match(unknown.errors, /^Error resolving the ssh hostname: /)
    const refused = await hosts.run(['ssh', ...flags, `${hosts.user}@192.0.2.1`])
    assert.equal(refused.status, 2)
    assert.match(refused.errors, /IP does not belong to role/)
    const wrong = await hosts.run(hosts.words('true', '-mode=dynamic', '-role=otp'))
    assert.equal(wrong.status, 1)
    assert.match(wrong.errors, /the role otp is for -mode=otp, not dynamic/)
    assert.equal(hosts.requests().at(-1), 'update sys/leases/revoke')
  })
})
