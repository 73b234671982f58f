/** `postern server` as a process: what it leaves behind, what it refuses to start with, what others may see of it. */
import assert from 'node:assert/strict'
import {
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { suite, test } from 'node:test'
import { apiOf } from '../support/api.ts'
import { runPostern } from '../support/cli.ts'
import { failToStart, startDevServer, startServer } from '../support/server.ts'
import { eventually, makeSite } from '../support/site.ts'

const NO_CORE_FILES = /^Max core file size +0 +0 +bytes/m

function makeFolder(): Disposable & { readonly folder: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-server-'))
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

test("a dev server leaves the person's token file as it is, and makes none", async () => {
  using home = makeFolder()
  const file = path.join(home.folder, '.vault-token')
  for (const before of [undefined, 's.mine']) {
    if (before !== undefined) writeFileSync(file, before, { mode: 0o600 })
    const modified = before === undefined ? undefined : statSync(file).mtimeMs
    const args = ['-dev', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:0']
    const server = await startServer(args, { env: { HOME: home.folder } })
    const { status } = await apiOf(server.address, 'root')('GET', 'auth/token/lookup-self')
    await server.stop()
    assert.equal(status, 200)
    const after = existsSync(file) ? readFileSync(file, 'utf8') : undefined
    assert.equal(after, before)
    if (modified !== undefined) assert.equal(statSync(file).mtimeMs, modified)
    const tokens = globSync('.*token*', { cwd: home.folder })
    assert.deepEqual(tokens, before === undefined ? [] : ['.vault-token'])
  }
})

test('pid_file holds the process id while the server runs, and is gone afterwards', async () => {
  await using site = makeSite({ lines: ['pid_file = "FOLDER/postern.pid"'] })
  const file = path.join(site.folder, 'postern.pid')
  const server = await site.start()
  assert.equal(readFileSync(file, 'utf8'), `${server.pid}\n`)
  assert.equal(await server.stop(), 0)
  assert.equal(existsSync(file), false)
})

test('Decision 15: the version is semantic and reads as 1.15.0, and the command tells our own', async () => {
  const server = await startDevServer()
  const api = apiOf(server.address, 'root')
  const health = await api('GET', 'sys/health')
  const seal = await api('GET', 'sys/seal-status')
  await server.stop()
  const manifest = path.resolve(import.meta.dirname, '../../package.json')
  const own: string = JSON.parse(readFileSync(manifest, 'utf8')).version
  assert.equal(health.body.version, `1.15.0+postern.${own}`)
  assert.equal(seal.body.version, health.body.version)
  const parts =
    /^(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/.exec(
      health.body.version,
    )
  assert.deepEqual(parts?.slice(1, 4), ['1', '15', '0'])
  const printed = await runPostern(['version'], {})
  assert.equal(printed.status, 0, printed.errors)
  assert.ok(printed.output.includes(own), printed.output)
  assert.doesNotMatch(printed.output, /1\.15\.0/)
})

suite('a config that is wrong ends the command with 1 and names file, line and key', () => {
  const good = 'storage "inmem" {}\nlistener "tcp" {\n  tls_disable = true\n}\n'
  const cases: readonly [name: string, text: string, line: number, key: string][] = [
    ['an unknown key', `${good}cluster_nmae = "a"\n`, 5, 'cluster_nmae'],
    ['a value of the wrong form', `${good}default_lease_ttl = "soon"\n`, 5, 'default_lease_ttl'],
    [
      'a missing key',
      'storage "sqlite" {\n}\nlistener "tcp" {\n  tls_disable = true\n}\n',
      1,
      'path',
    ],
    ['no HCL', `${good}pid_file = = 1\n`, 5, 'token'],
  ]
  for (const [name, text, line, key] of cases) {
    test(name, async () => {
      using site = makeFolder()
      const file = path.join(site.folder, 'server.hcl')
      writeFileSync(file, text)
      const { code, output } = await failToStart([`-config=${file}`])
      assert.equal(code, 1, output)
      assert.match(output, /^postern: /)
      assert.ok(output.includes(`${file}:${line}`), output)
      assert.ok(output.includes(key), output)
    })
  }
  test('a file that is not there', async () => {
    const { code, output } = await failToStart(['-config=/nonexistent/server.hcl'])
    assert.equal(code, 1, output)
    assert.match(output, /^postern: .*\/nonexistent\/server\.hcl/)
  })
})

suite('protocols 6.1: what would hand out keys', () => {
  const flags = [
    '--inspect=127.0.0.1:0',
    '--inspect-port=0',
    '--heapsnapshot-signal=SIGUSR2',
    '--heapsnapshot-near-heap-limit=1',
    '--tls-keylog=/dev/null',
  ]
  for (const flag of flags) {
    test(`${flag} is refused`, async () => {
      await using site = makeSite()
      const { code, output } = await failToStart([`-config=${site.config}`], { nodeArgs: [flag] })
      assert.equal(code, 1, output)
      assert.ok(output.includes(flag.split('=')[0] as string), output)
      assert.equal(existsSync(path.join(site.folder, 'store.db')), false, 'a store was opened')
    })
  }

  test('NODE_OPTIONS is refused', async () => {
    await using site = makeSite()
    const env = { NODE_OPTIONS: '--enable-source-maps' }
    const { code, output } = await failToStart([`-config=${site.config}`], { env })
    assert.equal(code, 1, output)
    assert.match(output, /NODE_OPTIONS/)
  })

  test('is let through on a dev server', async () => {
    const args = ['-dev', '-dev-listen-address=127.0.0.1:0']
    const server = await startServer(args, {
      nodeArgs: ['--heapsnapshot-near-heap-limit=1', '--inspect=127.0.0.1:0'],
      env: { NODE_OPTIONS: '--enable-source-maps' },
    })
    const { status } = await apiOf(server.address, '')('GET', 'sys/health')
    await server.stop()
    assert.equal(status, 200)
  })
})

test('protocols 6.1: the server runs without the signal of the debugger, and survives it', async () => {
  const server = await startDevServer()
  process.kill(server.pid, 'SIGUSR1')
  const { status } = await apiOf(server.address, '')('GET', 'sys/health')
  await server.stop()
  assert.doesNotMatch(server.output(), /Debugger listening/)
  assert.equal(status, 200)
})

test('protocols 6.1: the server leaves no core file, and cannot be made to', async () => {
  const server = await startDevServer()
  const limits = readFileSync(`/proc/${server.pid}/limits`, 'utf8')
  await server.stop()
  assert.match(limits, NO_CORE_FILES)
})

test('protocols 6.1: run as a program, the server has all that from its first moment', async () => {
  const args = ['-dev', '-dev-listen-address=127.0.0.1:0']
  const server = await startServer(args, { asProgram: true })
  const [limits, commandLine] = ['limits', 'cmdline'].map((name) =>
    readFileSync(`/proc/${server.pid}/${name}`, 'utf8'),
  )
  await server.stop()
  assert.match(limits ?? '', NO_CORE_FILES)
  const words = (commandLine ?? '').split('\0')
  const script = words.findIndex((word) => word.endsWith('postern.js'))
  for (const flag of ['--disable-sigusr1', '--report-exclude-env']) {
    assert.ok(words.slice(0, script).includes(flag), words.join(' '))
  }
})

test('protocols 6.1: keys stand neither in the command line nor in a report of the process', async () => {
  const secret = 'c0ffee'.repeat(10).concat('beef')
  await using site = makeSite({
    lines: ['seal "static" {\n  current_key_id = "k1"\n  current_key = "env://SEAL_KEY"\n}'],
  })
  const report = path.join(site.folder, 'report.json')
  const server = await startServer([`-config=${site.config}`], {
    env: { SEAL_KEY: secret },
    nodeArgs: [
      '--report-on-signal',
      '--report-signal=SIGUSR2',
      `--report-directory=${site.folder}`,
      '--report-filename=report.json',
    ],
  })
  try {
    const { body } = await apiOf(server.address, '')('PUT', 'sys/init', {})
    const root: string = body.root_token
    assert.match(root, /^s\./)
    const commandLine = readFileSync(`/proc/${server.pid}/cmdline`, 'utf8')
    for (const text of [secret, root]) assert.equal(commandLine.includes(text), false)
    process.kill(server.pid, 'SIGUSR2')
    const text = await wholeReport(report)
    assert.equal('environmentVariables' in JSON.parse(text), false)
    assert.equal(text.includes(secret), false, 'the seal key stands in the report')
  } finally {
    await server.stop()
  }
})

/** Node writes it bit by bit, and some of the bits end in a brace. */
async function wholeReport(file: string): Promise<string> {
  let text = ''
  await eventually(() => {
    text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    return isJson(text)
  }, 'a report is written')
  return text
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
