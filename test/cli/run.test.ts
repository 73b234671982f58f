import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { commandList } from '../../src/cli/declaration/command-list.ts'
import { runCli } from '../../src/cli/run.ts'
import { readStoredToken, storeToken } from '../../src/cli/token-store.ts'
import { version } from '../../src/client/version.ts'
import { startFakeServer } from '../client/fake-server.ts'

suite('the command line', () => {
  let home: string
  before(() => {
    home = mkdtempSync(path.join(os.tmpdir(), 'postern-cli-'))
  })
  after(() => rmSync(home, { recursive: true }))

  async function run(words: string[], environment: Record<string, string> = {}) {
    const [output, errors]: [string[], string[]] = [[], []]
    const status = await runCli(words, {
      environment,
      home,
      isInteractive: true,
      outputIsTerminal: false,
      write: (text) => output.push(text),
      writeError: (text) => errors.push(text),
      readInput: async () => '',
      readHidden: async () => 's.typed',
    })
    return { status, output: output.join(''), errors: errors.join('') }
  }

  test('tells its own version', async () => {
    for (const word of ['version', '-v', '--version']) {
      assert.deepEqual(await run([word]), {
        status: 0,
        output: `Postern v${version}\n`,
        errors: '',
      })
    }
  })

  test('has help for every command, made from its declaration', async () => {
    const { status, output } = await run(['help'])
    assert.equal(status, 0)
    for (const { name, summary } of commandList) {
      assert.ok(output.includes(`${name} `) && output.includes(summary), name)
      const shown = await run(['help', ...name.split(' ')])
      assert.equal(shown.status, 0, name)
      assert.match(shown.output, new RegExp(`^Usage: postern ${name} \\[flags\\]`))
      assert.deepEqual(await run([...name.split(' '), '-h']), shown)
    }
  })

  test('shows help on stderr and fails when no command is named', async () => {
    const { status, output, errors } = await run([])
    assert.equal(status, 1)
    assert.equal(output, '')
    assert.match(errors, /^Usage: postern COMMAND/)
    assert.equal((await run(['token'])).status, 1)
  })

  test('names each command once', () => {
    assert.equal(new Set(commandList.map(({ name }) => name)).size, commandList.length)
  })

  test('prints a field without a line end where a program reads', async () => {
    await using server = await startFakeServer(() => ({ body: { data: { key: 'otp' } } }))
    const { output } = await run(['read', '-field=key', `-address=${server.address}`, 'x'])
    assert.equal(output, 'otp')
  })

  test('status takes no other server for a sealed one', async () => {
    await using server = await startFakeServer(() => ({ body: { hello: 'world' } }))
    const { status, output, errors } = await run(['status', `-address=${server.address}`])
    assert.deepEqual([status, output], [1, ''])
    assert.match(errors, /tells no seal status\nhint: /)
  })

  test('sends the token of the environment before the one of the file', async () => {
    await using server = await startFakeServer(() => ({ body: { data: {} } }))
    const file = path.join(home, 'token')
    writeFileSync(file, 's.file\n')
    const environment = { VAULT_ADDR: server.address, BAO_TOKEN_PATH: file }
    await run(['read', 'x'], environment)
    await run(['read', 'x'], { ...environment, VAULT_TOKEN: 's.vault' })
    await run(['read', 'x'], { ...environment, VAULT_TOKEN: 's.vault', POSTERN_TOKEN: 's.own' })
    const tokens = server.seen.map(({ headers }) => headers['x-vault-token'])
    assert.deepEqual(tokens, ['s.file', 's.vault', 's.own'])
  })

  test('follows redirects as the flag says, and as the environment where it says nothing', async () => {
    await using server = await startFakeServer(({ url }) =>
      url === '/v1/x'
        ? { status: 307, headers: { Location: '/v1/y' } }
        : { body: { data: { key: 'otp' } } },
    )
    const address = `-address=${server.address}`
    const off = { VAULT_DISABLE_REDIRECTS: 'true' }
    assert.equal((await run(['read', address, 'x'])).status, 0)
    assert.equal((await run(['read', address, '-disable-redirects', 'x'])).status, 2)
    assert.equal((await run(['read', address, 'x'], off)).status, 2)
    assert.equal((await run(['read', address, '-disable-redirects=false', 'x'], off)).status, 0)
  })

  test('refuses a token that no header can carry, without showing it', async () => {
    const { status, errors } = await run(['read', 'x'], { VAULT_TOKEN: 's.bad token' })
    assert.equal(status, 1)
    assert.doesNotMatch(errors, /bad token/)
  })

  test('asks for the token of a login and keeps it for its owner alone', async () => {
    await using server = await startFakeServer(() => ({ body: { data: { policies: ['root'] } } }))
    const { status } = await run(['login', `-address=${server.address}`])
    assert.equal(status, 0)
    assert.equal(server.seen[0]?.headers['x-vault-token'], 's.typed')
    const file = path.join(home, '.vault-token')
    assert.equal(readFileSync(file, 'utf8'), 's.typed')
    assert.equal(statSync(file).mode & 0o777, 0o600)
  })

  test('a token file that others could read is private after the next login', async () => {
    const file = path.join(home, 'open')
    const place = { environment: { VAULT_TOKEN_PATH: file }, home }
    writeFileSync(file, 's.old', { mode: 0o644 })
    assert.equal(await storeToken(place, 's.new'), file)
    assert.equal(await readStoredToken(place), 's.new')
    assert.equal(statSync(file).mode & 0o777, 0o600)
  })

  test('understands flags with one dash and two, before and behind arguments', async () => {
    await using server = await startFakeServer(() => ({ status: 204 }))
    const address = `--address=${server.address}`
    for (const words of [
      ['write', address, '-force', 'x'],
      ['write', 'x', '-f', '-address', server.address],
      ['write', '-force=true', 'x', address],
    ]) {
      assert.equal((await run(words)).status, 0, words.join(' '))
    }
    assert.equal((await run(['write', '-force=false', 'x', address])).status, 1)
    assert.equal((await run(['write', 'x', '-address'])).status, 1)
    assert.equal(server.seen.length, 3)
  })
})
