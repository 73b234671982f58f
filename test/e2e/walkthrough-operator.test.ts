/**
 * An operator's way with the command line and a server that keeps its store in a file: init, unseal, a lost root
 * token, new unseal keys, backup and restore.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { runCli } from '../../src/cli/run.ts'
import { type RunningServer, startServer } from '../support/server.ts'

suite("an operator's way", () => {
  let folder: string
  let server: RunningServer
  let keys: string[] = []
  let rootToken = ''

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-operator-'))
    const config = [
      `storage "sqlite" { path = "${folder}/store.db" }`,
      'listener "tcp" {\n  address = "127.0.0.1:0"\n  tls_disable = true\n}',
    ]
    writeFileSync(path.join(folder, 'server.hcl'), `${config.join('\n')}\n`)
    await start()
  })

  after(async () => {
    await server.stop()
    rmSync(folder, { recursive: true })
  })

  async function start(): Promise<void> {
    server = await startServer([`-config=${folder}/server.hcl`])
  }

  interface Ran {
    readonly status: number
    readonly output: string
    readonly errors: string
  }

  async function run(words: string, { input = '', token = '' } = {}): Promise<Ran> {
    const [output, errors]: [string[], string[]] = [[], []]
    const status = await runCli(words.split(' '), {
      environment: { POSTERN_ADDR: server.address, POSTERN_TOKEN: token },
      home: folder,
      isInteractive: false,
      outputIsTerminal: false,
      write: (text) => output.push(text),
      writeError: (text) => errors.push(text),
      readInput: async () => `${input}\n`,
      readHidden: async () => assert.fail('nobody can be asked'),
    })
    return { status, output: output.join(''), errors: errors.join('') }
  }

  async function ask(words: string, options: { input?: string; token?: string } = {}) {
    const { status, output, errors } = await run(`${words} -format=json`, options)
    assert.equal(status, 0, errors)
    return JSON.parse(output)
  }

  async function unseal(): Promise<void> {
    const states = []
    for (const input of keys.slice(0, 2)) states.push(await ask('operator unseal', { input }))
    assert.deepEqual(
      states.map(({ sealed }) => sealed),
      [true, false],
    )
  }

  test('a new server is initialised once and unsealed with a quorum of its keys', async () => {
    assert.equal((await run('status')).status, 2)
    const init = await ask('operator init -key-shares=3 -key-threshold=2')
    keys = init.unseal_keys_b64
    rootToken = init.root_token
    assert.equal(keys.length, 3)
    assert.equal((await run('operator init')).status, 2)
    await unseal()
    assert.equal((await run('status')).status, 0)
    assert.equal((await run('operator init -status')).status, 0)
  })

  test('login keeps the token for its owner, and a policy limits a token', async () => {
    assert.equal((await run('login -no-print', { input: rootToken })).status, 0)
    assert.equal(statSync(path.join(folder, '.vault-token')).mode & 0o777, 0o600)
    assert.equal((await run('secrets enable ssh')).status, 0)
    const policy = 'path "ssh/roles/*" { capabilities = ["update", "read"] }'
    assert.equal((await run('policy write roles -', { input: policy })).status, 0)
    const { output: token } = await run('token create -policy=roles -field=token')
    const role = 'ssh/roles/web key_type=ca allow_user_certificates=true allowed_users=alice'
    assert.equal((await run(`write ${role}`, { token })).status, 0)
    const denied = await run('list ssh/roles', { token })
    assert.equal(denied.status, 2)
    assert.match(denied.errors, /Code: 403/)
  })

  test('without a root token, a quorum of keys makes another one', async () => {
    const token = 's.nosuchtokenanywhere0000'
    const first = await ask('operator generate-root -init -', { input: keys[0] as string, token })
    assert.equal(first.started, true)
    const last = await ask(`operator generate-root -nonce=${first.nonce} -`, {
      input: keys[2] as string,
      token,
    })
    assert.equal(last.complete, true)
    const decode = `operator generate-root -decode=${last.encoded_token} -otp=${first.otp}`
    const { token: made } = await ask(decode)
    assert.notEqual(made, rootToken)
    const { data } = await ask('token lookup', { token: made })
    assert.deepEqual(data.policies, ['root'])
  })

  test('a rekey replaces the keys, and the old ones unseal no more', async () => {
    const old = keys
    const begun = await ask('operator rekey -init -key-shares=2 -key-threshold=2', {
      token: rootToken,
    })
    const states = []
    for (const input of old.slice(0, 2)) {
      states.push(await ask(`operator rekey -nonce=${begun.nonce}`, { input, token: rootToken }))
    }
    keys = states.at(-1).keys_base64
    assert.equal(keys.length, 2)
    assert.equal((await run('operator seal', { token: rootToken })).status, 0)
    assert.equal((await run('read ssh/roles/web', { token: rootToken })).status, 2)
    await run('operator unseal', { input: old[0] as string })
    assert.equal((await run('operator unseal', { input: old[1] as string })).status, 2)
    await unseal()
  })

  test('a backup brings back what was deleted since', async () => {
    const [store, backup] = [path.join(folder, 'store.db'), path.join(folder, 'backup.db')]
    assert.equal((await run(`operator backup -store=${store} ${backup}`)).status, 0)
    assert.equal((await run('delete ssh/roles/web', { token: rootToken })).status, 0)
    const refused = await run(`operator restore -store=${store} ${backup}`)
    assert.equal(refused.status, 1)
    assert.match(refused.errors, /in use/)
    await server.stop()
    const restored = await run(`operator restore -keep-tokens -store=${store} ${backup}`)
    assert.equal(restored.status, 0, restored.errors)
    await start()
    await unseal()
    const { data } = await ask('read ssh/roles/web', { token: rootToken })
    assert.equal(data.allowed_users, 'alice')
  })
})
