/** `postern ssh` at a terminal: questions, sessions, and what is left when it is broken off. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startFakeServer } from '../client/fake-server.ts'
import { eventually } from '../support/site.ts'
import { agentIdentities, type SshHosts, startAgent, startSshHosts } from '../support/ssh-hosts.ts'
import { onTerminal } from '../support/terminal.ts'

const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')
const POSTERN = [process.execPath, BIN]

suite('a session at a terminal', () => {
  let hosts: SshHosts

  before(async () => {
    hosts = await startSshHosts()
  })
  after(() => hosts[Symbol.asyncDispose]())

  /** Without a command: a shell. */
  const shell = (...flags: string[]) => [...POSTERN, ...hosts.words('', ...flags).slice(0, -1)]

  test('is a shell on a pseudo-terminal, ended by its own status', async () => {
    const { status, output } = await onTerminal(shell('-mode=ca', '-role=web'), hosts.env, [
      [/\$ $/, 'tty; exit 5\n'],
    ])
    assert.equal(status, 5, output)
    assert.match(output, /\/dev\/pts\/[0-9]+\n/)
    assert.deepEqual(hosts.leftovers(), [])
  })

  test('asks which role when several fit, and takes a number or a name', async () => {
    await hosts.api('PUT', 'ssh/roles/admin', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: hosts.user,
      default_extensions: { 'permit-pty': '' },
    })
    hosts.requests()
    for (const [typed, role] of [
      ['2', 'web'],
      ['admin', 'admin'],
    ] as const) {
      const { status, output } = await onTerminal(shell(), hosts.env, [
        [/1 {2}admin\n {2}2 {2}web\nRole \(1-2\): $/, `${typed}\n`],
        [/\$ $/, 'echo typed-$((20+1)); exit\n'],
      ])
      assert.equal(status, 0, output)
      assert.match(output, /\ntyped-21\n/)
      assert.equal(hosts.requests().at(-1), `update ssh/sign/${role}`)
    }
    const { status, output } = await onTerminal(shell(), hosts.env, [[/\(1-2\): $/, '3\n']])
    assert.equal(status, 1)
    assert.match(output, /several fit: admin, web/)
    await hosts.api('DELETE', 'ssh/roles/admin')
  })

  test('Ctrl-C while a command runs leaves no key file and no identity in the agent', async () => {
    using agent = startAgent(hosts.home)
    for (const env of [hosts.env, { ...hosts.env, SSH_AUTH_SOCK: agent.socket }]) {
      const words = hosts.words('echo ready; sleep 60', '-mode=ca', '-role=web')
      const { status, output } = await onTerminal([...POSTERN, ...words], env, [
        [/ready\n/, '\x03'],
      ])
      assert.ok(status === 130 || status === 255, `${status}\n${output}`)
      assert.deepEqual(hosts.leftovers(), [])
      assert.match(agentIdentities(agent.socket), /no identities/)
    }
  })

  test('Ctrl-C while the server thinks ends at once, with nothing left', async () => {
    await using silent = await startFakeServer(() => ({ hangs: true }))
    const env = { ...hosts.env, VAULT_ADDR: silent.address }
    const words = [...POSTERN, ...hosts.words('true', '-mode=ca', '-role=web')]
    const child = spawn(words[0] as string, words.slice(1), {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await eventually(() => silent.seen.length === 1, 'no request came')
    child.kill('SIGINT')
    const [status] = await once(child, 'exit')
    assert.equal(status, 130)
    assert.deepEqual(hosts.leftovers(), [])
  })

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    test(`${signal} ends ssh and cleans up after it`, async () => {
      using agent = startAgent(hosts.home)
      for (const more of [{}, { SSH_AUTH_SOCK: agent.socket }]) {
        const words = hosts.words('echo ready; sleep 60', '-mode=ca', '-role=web')
        const child = spawn(process.execPath, [BIN, ...words], {
          env: { PATH: process.env['PATH'], ...hosts.env, ...more },
          stdio: ['ignore', 'pipe', 'ignore'],
        })
        await once(child.stdout, 'data')
        assert.equal(readdirSync(path.join(hosts.home, 'tmp')).length, 1)
        child.kill(signal)
        const [status] = await once(child, 'exit')
        assert.ok(status > 128, `${status}`)
        assert.deepEqual(hosts.leftovers(), [])
        assert.match(agentIdentities(agent.socket), /no identities/)
      }
    })
  }

  test('an identity that nobody takes back ends with its certificate', async () => {
    using agent = startAgent(hosts.home)
    await hosts.api('PUT', 'ssh/roles/brief', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: hosts.user,
      ttl: '3s',
    })
    const words = hosts.words('echo ready; sleep 60', '-mode=ca', '-role=brief')
    const child = spawn(process.execPath, [BIN, ...words], {
      env: { PATH: process.env['PATH'], ...hosts.env, SSH_AUTH_SOCK: agent.socket },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    await eventually(
      () => /no identities/.test(agentIdentities(agent.socket)),
      'the agent keeps the identity',
    )
    hosts.leftovers()
    execFileSync('ssh-add', ['-D'], {
      env: { ...process.env, SSH_AUTH_SOCK: agent.socket },
      stdio: 'ignore',
    })
  })
})
