/** `postern ssh` in certificate mode: real logins to a real sshd (contract 8.3). */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { agentIdentities, type SshHosts, startAgent, startSshHosts } from '../support/ssh-hosts.ts'
import { startSshd } from '../support/sshd.ts'

suite('a session with a certificate', () => {
  let hosts: SshHosts

  before(async () => {
    hosts = await startSshHosts()
  })
  beforeEach(() => {
    hosts.requests()
  })
  after(() => hosts[Symbol.asyncDispose]())

  const accepted = () => hosts.sshd.log().match(/Accepted publickey .* ED25519-CERT/g)?.length ?? 0

  async function login(args: readonly string[], more: Record<string, string> = {}) {
    const run = await hosts.run(args, more)
    assert.deepEqual(hosts.leftovers(), [])
    return run
  }

  test('needs one request and no agent, passes the command on, and leaves nothing', async () => {
    const before = accepted()
    const { status, output, errors } = await login(
      hosts.words('id -un; echo to-stderr >&2', '-mode=ca', '-role=web'),
    )
    assert.equal(status, 0, `${errors}\n${hosts.sshd.log()}`)
    assert.equal(output, `${hosts.user}\n`)
    assert.match(errors, /to-stderr/)
    assert.equal(accepted(), before + 1)
    assert.deepEqual(hosts.requests(), ['update ssh/sign/web'])
  })

  test("has ssh's own exit status", async () => {
    assert.equal((await login(hosts.words('exit 42', '-mode=ca', '-role=web'))).status, 42)
    const nowhere = ['ssh', '-mode=ca', '-role=web', `${hosts.user}@127.0.0.1`, '-p', '1', 'true']
    const { status, errors } = await login(nowhere)
    assert.equal(status, 255)
    assert.match(errors, /Connection refused/)
  })

  test('wraps nothing that it needs itself, whatever the environment says', async () => {
    const wrapping = { VAULT_WRAP_TTL: '5m' }
    const { status, errors } = await login(hosts.words('true', '-mode=ca', '-role=web'), wrapping)
    assert.equal(status, 0, errors)
  })

  test('finds mode and role by itself, the certificate before the password', async () => {
    const { status, output, errors } = await login(hosts.words('id -un'))
    assert.equal(status, 0, errors)
    assert.equal(output, `${hosts.user}\n`)
    assert.equal(hosts.requests().at(-1), 'update ssh/sign/web')
  })

  test('finds the role in the policies of a token that may list nothing', async () => {
    const policy = 'path "ssh/sign/web" { capabilities = ["update"] }'
    await hosts.api('PUT', 'sys/policies/acl/signer', { policy })
    const { body } = await hosts.api('POST', 'auth/token/create', { policies: ['signer'] })
    const { status, errors } = await login(hosts.words('true'), {
      VAULT_TOKEN: body.auth.client_token,
    })
    assert.equal(status, 0, errors)
  })

  test('gives the pair to the agent with the life of the certificate, and takes it back', async () => {
    using agent = startAgent(hosts.home)
    const spy = path.join(hosts.home, 'spy')
    writeFileSync(
      spy,
      `#!/bin/sh\ncase "$1" in -G) exec ssh "$@";; esac\nssh-add -L > "$HOME/lent"; ls -R "$TMPDIR" > "$HOME/files"\nexec ssh "$@"\n`,
    )
    chmodSync(spy, 0o755)
    const flags = ['-mode=ca', '-role=web', `-ssh-executable=${spy}`]
    const { status, output, errors } = await login(hosts.words('id -un', ...flags), {
      SSH_AUTH_SOCK: agent.socket,
    })
    assert.equal(status, 0, errors)
    assert.equal(output, `${hosts.user}\n`)
    const lent = readFileSync(path.join(hosts.home, 'lent'), 'utf8')
    assert.match(lent, /^ssh-ed25519-cert-v01@openssh\.com \S+ postern [^\n]+\n$/)
    assert.match(readFileSync(path.join(hosts.home, 'files'), 'utf8'), /:\nid-cert\.pub\n$/)
    assert.match(agentIdentities(agent.socket), /no identities/)
  })

  test('falls back to a file where the agent refuses, and keeps it out of the agent', async () => {
    using agent = startAgent(hosts.home)
    const env = { ...process.env, SSH_AUTH_SOCK: agent.socket, DISPLAY: '', SSH_ASKPASS: '' }
    execFileSync('ssh-keygen', [
      '-q',
      '-t',
      'ed25519',
      '-N',
      '',
      '-f',
      path.join(hosts.home, 'own'),
    ])
    execFileSync('ssh-add', ['-q', path.join(hosts.home, 'own')], { env })
    // The agent that answers nothing usable is an HTTP server here.
    const { status, errors } = await login(hosts.words('true', '-mode=ca', '-role=web'), {
      SSH_AUTH_SOCK: path.join(hosts.home, 'nobody.sock'),
    })
    assert.equal(status, 0, errors)
    const settings = hosts.words('true', '-mode=ca', '-role=web')
    const { status: second } = await login(
      [...settings.slice(0, -1), '-oAddKeysToAgent=yes', 'true'],
      {
        SSH_AUTH_SOCK: agent.socket,
      },
    )
    assert.equal(second, 0)
    assert.equal(agentIdentities(agent.socket).trim().split('\n').length, 1)
  })

  test('offers nothing but its own: ten keys in the agent do not use up the tries', async () => {
    using agent = startAgent(hosts.home)
    const env = { ...process.env, SSH_AUTH_SOCK: agent.socket }
    for (let count = 0; count < 10; count++) {
      const key = path.join(hosts.home, `many-${count}`)
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
      execFileSync('ssh-add', ['-q', key], { env })
    }
    const { status, errors } = await login(hosts.words('true', '-mode=ca', '-role=web'), {
      SSH_AUTH_SOCK: agent.socket,
    })
    assert.equal(status, 0, errors)
    assert.equal(agentIdentities(agent.socket).trim().split('\n').length, 10)
  })

  test('certifies an existing key beside it, in a folder whose name has blanks', async () => {
    const key = path.join(hosts.home, 'my key 100%')
    execFileSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', '', '-f', key])
    const { status, output, errors } = await login(
      hosts.words('id -un', '-mode=ca', '-role=web', `-public-key-path=${key}.pub`),
    )
    assert.equal(status, 0, errors)
    assert.equal(output, `${hosts.user}\n`)
    assert.match(hosts.sshd.log(), /Accepted publickey .* ECDSA-CERT/)
  })

  test('asks for extensions only where the session needs more than the role gives', async () => {
    const plain = ['-mode=ca', '-role=web']
    const words = hosts.words('true', ...plain)
    const forwarding = [...words.slice(0, -1), '-L', `${hosts.home}/forward:127.0.0.1:1`, 'true']
    assert.equal((await login(forwarding)).status, 0)
    assert.deepEqual(hosts.requests(), [
      'update ssh/sign/web',
      'read ssh/roles/web',
      'update ssh/sign/web',
    ])
    const { status, errors } = await login(
      hosts.words('true', ...plain, '-valid-principals=nobody'),
    )
    assert.equal(status, 2)
    assert.match(errors, /nobody is not a valid value for valid_principals/)
  })

  test("goes through the user's own configuration: aliases, ports and jump hosts", async () => {
    const config = path.join(hosts.home, '.ssh', 'config')
    const known = 'StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n'
    writeFileSync(
      config,
      `Host box\n  HostName 127.0.0.1\n  Port ${hosts.sshd.port}\n  User ${hosts.user}\n  ${known}Host behind\n  HostName localhost\n  ProxyJump box\n  User ${hosts.user}\n  Port ${hosts.sshd.port}\n  ${known}`,
    )
    const flags = ['-mode=ca', '-role=web']
    const { status, output, errors } = await login(['ssh', ...flags, 'box', '-F', config, 'id -un'])
    assert.equal(status, 0, errors)
    assert.equal(output, `${hosts.user}\n`)
    // The jump host has its own way to log in: the block of ssh-config.
    const block = await hosts.run(['ssh-config', '-role=web', 'box'])
    writeFileSync(config, `${readFileSync(config, 'utf8')}${block.output}`)
    const words = ['ssh', ...flags, 'behind', '-F', config, 'id -un; echo $SSH_CONNECTION']
    const before = accepted()
    const jumped = await login(words)
    assert.equal(jumped.status, 0, jumped.errors)
    assert.equal(accepted(), before + 2)
  })

  test('trusts hosts by the CA of another mount, and by nothing else', async () => {
    await hosts.api('POST', 'sys/mounts/hosts', { type: 'ssh' })
    await hosts.api('POST', 'hosts/config/ca', { key_type: 'ed25519' })
    await hosts.api('PUT', 'hosts/roles/all', {
      key_type: 'ca',
      allow_host_certificates: true,
      allowed_domains: '*',
    })
    const key = path.join(hosts.home, 'host_key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const { body } = await hosts.api('PUT', 'hosts/sign/all', {
      cert_type: 'host',
      valid_principals: '127.0.0.1',
      public_key: readFileSync(`${key}.pub`, 'utf8'),
    })
    await using sshd = await startSshd({
      settings: [
        'HostCertificate FOLDER/host_key-cert.pub',
        'TrustedUserCAKeys FOLDER/user_ca.pub',
      ],
      files: {
        host_key: readFileSync(key, 'utf8'),
        'host_key-cert.pub': body.data.signed_key,
        'user_ca.pub': (await hosts.api('GET', 'ssh/public_key')).body,
      },
    })
    const flags = ['-mode=ca', '-role=web', '-host-key-mount-point=hosts']
    const words = (port: number) => [
      'ssh',
      ...flags,
      `${hosts.user}@127.0.0.1`,
      '-p',
      `${port}`,
      'id -un',
    ]
    const good = await login(words(sshd.port))
    assert.equal(good.status, 0, good.errors)
    assert.doesNotMatch(good.errors, /Permanently added/)
    const bad = await login(words(hosts.sshd.port))
    assert.equal(bad.status, 255)
    assert.match(bad.errors, /Host key verification failed/)
    // What the machine's own settings trust is nothing to a session for which a CA vouches.
    const known = path.join(hosts.home, '.ssh', 'global')
    const hostKey = readFileSync(path.join(hosts.sshd.folder, 'host_key.pub'), 'utf8')
    writeFileSync(known, `[127.0.0.1]:${hosts.sshd.port} ${hostKey}`)
    for (const trusted of [
      `-oGlobalKnownHostsFile=${known}`,
      `-oKnownHostsCommand=/bin/cat ${known}`,
    ]) {
      const other = await login([...words(hosts.sshd.port).slice(0, -1), trusted, 'true'])
      assert.equal(other.status, 255, trusted)
      assert.match(other.errors, /Host key verification failed/)
    }
    // A CA that the user was told to refuse is refused here too.
    const ca = (await hosts.api('GET', 'hosts/public_key')).body
    writeFileSync(path.join(hosts.home, '.ssh', 'refused'), `@revoked * ${ca}`)
    for (const option of ['UserKnownHostsFile', 'GlobalKnownHostsFile']) {
      const files = [`-o${option}=${hosts.home}/.ssh/refused`, 'true']
      const revoked = await login([...words(sshd.port).slice(0, -1), ...files])
      assert.equal(revoked.status, 255, option)
      assert.match(revoked.errors, /REVOKED/i)
    }
  })

  test('protocols 5.7: names that a shell or ssh could take for something else run nothing', async () => {
    const mark = path.join(hosts.home, 'pwned')
    const flags = ['-mode=ca', '-role=web']
    for (const words of [
      ['--', `-oProxyCommand=touch ${mark}`, 'x'],
      [`ssh://-oProxyCommand=touch ${mark}/`],
      [`x@-oProxyCommand=touch ${mark}`],
      [`$(touch ${mark})@127.0.0.1`],
      [`x@$(touch\${IFS}${mark})`],
      [`'; touch ${mark}; '@127.0.0.1`],
      ['-l', `-oProxyCommand=touch ${mark}`, '127.0.0.1'],
      ['127.0.0.1', '-l', `\`touch ${mark}\``],
    ]) {
      const { status } = await login(['ssh', ...flags, ...words])
      assert.ok([1, 255].includes(status), `${words.join(' ')}: ${status}`)
      assert.throws(() => readFileSync(mark), /ENOENT/)
    }
    assert.deepEqual(hosts.requests(), [])
  })

  test('says what to do when there is no role, mode or host', async () => {
    const none = await login(['ssh', '-mount-point=nowhere', `${hosts.user}@127.0.0.1`])
    assert.equal(none.status, 1)
    assert.match(none.errors, /^postern: No -role specified/)
    assert.match((await login(['ssh', '-mode=zzz', 'h'])).errors, /Unknown SSH mode: zzz/)
    assert.match((await login(['ssh'])).errors, /needs a USER@HOST/)
    await hosts.api('PUT', 'ssh/roles/second', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: hosts.user,
    })
    const several = await login(hosts.words('true'))
    assert.equal(several.status, 1)
    assert.match(several.errors, /several fit: second, web\nhint: say -role=NAME/)
    await hosts.api('DELETE', 'ssh/roles/second')
  })

  test('-no-exec prints a certificate for a key that stays', async () => {
    const key = path.join(hosts.home, 'printed')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const flags = ['-role=web', '-no-exec', '-field=signed_key', `-private-key-path=${key}`]
    const { status, output } = await login(hosts.words('true', ...flags))
    assert.equal(status, 0)
    assert.match(output, /^ssh-ed25519-cert-v01@openssh\.com /)
  })
})
