/** The command line at a terminal: what is typed hidden, what is coloured, and completion in each shell. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startFakeServer } from '../client/fake-server.ts'
import { apiOf } from '../support/api.ts'
import { runPostern } from '../support/cli.ts'
import { type RunningServer, startDevServer } from '../support/server.ts'
import { onTerminal } from '../support/terminal.ts'

const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')
const POSTERN = [process.execPath, BIN]

suite('the command line at a terminal', () => {
  let server: RunningServer
  let home: string
  let env: Record<string, string>

  before(async () => {
    home = mkdtempSync(path.join(os.tmpdir(), 'postern-terminal-'))
    server = await startDevServer()
    env = { HOME: home, POSTERN_ADDR: server.address }
  })
  after(async () => {
    await server.stop()
    rmSync(home, { recursive: true })
  })

  test('login asks for the token and does not show it', async () => {
    const { status, output } = await onTerminal([...POSTERN, 'login', '-no-print'], env, [
      [/^Token \(will be hidden\): $/, 'roox\x7ft\r'],
    ])
    assert.equal(status, 0, output)
    assert.equal(output, 'Token (will be hidden): \n')
    const kept = await onTerminal([...POSTERN, 'print', 'token'], env)
    assert.equal(kept.output, 'root\n')
  })

  test('login asks for a password and does not show it', async () => {
    await using other = await startFakeServer(() => ({ body: { auth: { client_token: 's.a' } } }))
    const words = ['login', '-method=userpass', '-no-store', '-token-only', 'username=alice']
    const { status, output } = await onTerminal(
      [...POSTERN, ...words],
      { ...env, POSTERN_ADDR: other.address },
      [[/Password \(will be hidden\): $/, 'correct horse\r']],
    )
    assert.equal(status, 0, output)
    assert.equal(output, 'Password (will be hidden): \ns.a\n')
    assert.equal(other.seen[0]?.body, '{"password":"correct horse"}')
  })

  test('operator unseal asks for a key and does not show it', async () => {
    const key = /Unseal Key: (\S+)/.exec(server.output())?.[1] ?? ''
    assert.equal((await apiOf(server.address, 'root')('PUT', 'sys/seal')).status, 204)
    const { status, output } = await onTerminal([...POSTERN, 'operator', 'unseal'], env, [
      [/Unseal Key \(will be hidden\): $/, `${key}\r`],
    ])
    assert.equal(status, 0, output)
    assert.match(output, /^Unseal Key \(will be hidden\): \n[\s\S]*\nSealed +false\n/)
    assert.equal(output.includes(key), false)
  })

  test('Ctrl-C at a question ends the command, and the terminal shows again what is typed', async () => {
    const script = `'${BIN}' login; echo "status $?"; stty -a | grep -o -- '-\\?\\becho\\b'`
    const { output } = await onTerminal(['/bin/sh', '-c', script], env, [
      [/hidden\): $/, 'half a token\x03'],
    ])
    assert.match(output, /interrupted/)
    assert.match(output, /status 1\n.*\becho\n$/s)
    assert.doesNotMatch(output, /half|-echo/)
  })

  test('errors are red at a terminal, and not with NO_COLOR, a dumb terminal, or in a file', async () => {
    const words = [...POSTERN, 'raed']
    const red = await onTerminal(words, { ...env, TERM: 'xterm' })
    const escaped = red.output.replaceAll('\x1b', 'ESC')
    assert.match(escaped, /^ESC\[31mpostern: unknown command raedESC\[0m\nhint: /)
    for (const plain of [{ TERM: 'dumb' }, { TERM: 'xterm', NO_COLOR: '1' }]) {
      const { output, status } = await onTerminal(words, { ...env, ...plain })
      assert.equal(status, 127)
      assert.match(output, /^postern: unknown command raed\nhint: /)
    }
    const [program = '', ...args] = words
    const { stderr } = spawnSync(program, args, {
      env: { ...env, TERM: 'xterm' },
      encoding: 'utf8',
    })
    assert.match(stderr, /^postern: /)
  })

  test('a field ends with a line end for people, and without one for programs', async () => {
    const words = ['token', 'lookup', '-field=display_name']
    const shown = await onTerminal([...POSTERN, ...words], { ...env, POSTERN_TOKEN: 'root' })
    const piped = execFileSync(process.execPath, [BIN, ...words], {
      env: { ...env, POSTERN_TOKEN: 'root' },
      encoding: 'utf8',
    })
    assert.equal(shown.output, `${piped}\n`)
  })

  test('text of others does not drive the terminal, and reaches programs as it is', async () => {
    const evil = '\x1b]0;owned\x07\x9b31m\r\tend'
    await using other = await startFakeServer(({ url }) =>
      url.endsWith('/refused')
        ? { status: 500, body: { errors: [evil] } }
        : { body: { request_id: 'r', data: { a: evil }, warnings: [evil] } },
    )
    const at = { ...env, POSTERN_ADDR: other.address }
    for (const words of [
      ['read', 'x'],
      ['read', '-field=a', 'x'],
      ['read', '-format=json', 'x'],
      ['read', 'refused'],
    ]) {
      const { output } = await onTerminal([...POSTERN, ...words], at)
      assert.match(output, /\\u001b]0;owned/)
      const obeyed = ['\x1b', '\x07', '\x9b'].filter((character) => output.includes(character))
      assert.deepEqual(obeyed, [], output)
    }
    const piped = await runPostern(['read', '-field=a', 'x'], at)
    assert.equal(piped.output, evil)
  })

  test('a reader that goes away early is no failure', () => {
    const line = `"$0" "$1" help; echo "$?" >&2`
    const { stderr } = spawnSync('bash', ['-c', `(${line}) | true`, process.execPath, BIN], {
      env,
      encoding: 'utf8',
    })
    assert.equal(stderr, '0\n')
  })

  suite('completion', () => {
    const shellEnv = () => ({
      PATH: `${home}/bin:${process.env['PATH']}`,
      HOME: home,
      POSTERN_ADDR: server.address,
      POSTERN_TOKEN: 'root',
    })

    before(async () => {
      mkdirSync(`${home}/bin`)
      symlinkSync(BIN, `${home}/bin/postern`)
      const api = apiOf(server.address, 'root')
      await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
      for (const role of ['web', 'web-admin']) {
        await api('PUT', `ssh/roles/${role}`, { key_type: 'ca', allow_user_certificates: true })
      }
    })

    /** What a shell prints that was started with a script. */
    function runShell(shell: string, script: string): string[] {
      const file = path.join(home, `script.${shell}`)
      writeFileSync(file, script)
      const run = spawnSync(shell, [file], { env: shellEnv(), encoding: 'utf8' })
      assert.equal(run.status, 0, run.stderr)
      return run.stdout.trim().split('\n').sort()
    }

    test('bash offers commands, flags and names of the server', () => {
      const completed = (line: string) =>
        runShell(
          'bash',
          `source <(postern completion bash)
COMP_LINE=${JSON.stringify(line)}; COMP_POINT=\${#COMP_LINE}
_postern 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`,
        )
      assert.deepEqual(completed('postern tok'), ['token'])
      assert.deepEqual(completed('postern ssh -role=w'), ['web', 'web-admin'])
      assert.deepEqual(completed('postern ssh -role we'), ['web', 'web-admin'])
      assert.deepEqual(completed('postern write ssh/sign/'), ['ssh/sign/web', 'ssh/sign/web-admin'])
      assert.deepEqual(completed('postern policy write x '), [''])
    })

    test('zsh does', () => {
      const found = runShell(
        'zsh',
        `compdef() { : }
source <(postern completion zsh)
compadd() { while [ "$1" != -- ]; do shift; done; shift; printf '%s\\n' "$@" }
words=(postern ssh -role=w); CURRENT=3; _postern`,
      )
      assert.deepEqual(
        found.filter((line) => line !== ''),
        ['-role=web', '-role=web-admin'],
      )
    })

    test('fish does', () => {
      const offered = runShell(
        'fish',
        `postern completion fish | source
complete -C 'postern ssh -role=w'; complete -C 'postern secrets dis'`,
      )
      assert.deepEqual(offered, ['-role=web', '-role=web-admin', 'disable'])
    })
  })
})
