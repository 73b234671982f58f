/**
 * What the server does when it can't keep its promises: requests are refused, health stays 200, and service goes
 * on by itself when the cause is gone (protocols 1.2, 2.2; contract 10.4). Needs root for a small file system.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type RunningServer, startServer } from '../support/server.ts'

interface Site extends AsyncDisposable {
  readonly server: RunningServer
  readonly api: Api
  /** A file system of one MiB and a half. */
  readonly small: string
  readonly folder: string
}

async function openSite(
  place: (site: { small: string; folder: string }) => string[],
): Promise<Site> {
  assert.equal(process.getuid?.(), 0, 'this test mounts a small file system: run it as root')
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-refusal-'))
  const small = path.join(folder, 'small')
  mkdirSync(small)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1536k', 'tmpfs', small])
  const config = path.join(folder, 'server.hcl')
  const listener = 'listener "tcp" {\n  address = "127.0.0.1:0"\n  tls_disable = true\n}'
  writeFileSync(config, [listener, ...place({ small, folder })].join('\n'))
  const server = await startServer([`-config=${config}`])
  const open = apiOf(server.address, '')
  const { body } = await open('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })
  await open('PUT', 'sys/unseal', { key: body.keys[0] })
  const api = apiOf(server.address, body.root_token)
  await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
  await api('POST', 'ssh/roles/otp', {
    key_type: 'otp',
    default_user: 'u',
    cidr_list: '10.0.0.0/8',
  })
  return {
    server,
    api,
    small,
    folder,
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      execFileSync('umount', [small])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Takes all the space that is left. Gives what gives it back. */
function fillUp(small: string): Disposable {
  const filler = path.join(small, 'filler')
  const script = `dd if=/dev/zero of="${filler}" bs=4k 2>/dev/null || true`
  execFileSync('sh', ['-c', script])
  return { [Symbol.dispose]: () => rmSync(filler) }
}

const creds = (api: Api) => api('POST', 'ssh/creds/otp', { ip: '10.1.2.3' })

async function eventually(check: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!(await check())) {
    assert.ok(Date.now() < deadline, what)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('a full disk under the store refuses writes, not health, and acknowledges nothing that is lost', async () => {
  await using site = await openSite(({ small, folder }) => [
    `storage "sqlite" { path = "${small}/store.db" }`,
    `audit "file" "log" { options { file_path = "${folder}/audit.log" } }`,
  ])
  const { api } = site
  const issued: string[] = []
  {
    using _full = fillUp(site.small)
    await eventually(async () => {
      const { status, body } = await creds(api)
      if (status === 200) issued.push(body.data.key)
      else assert.deepEqual({ status, body }, { status: 500, body: { errors: ['internal error'] } })
      return status === 500
    }, 'the full disk never refused a write')
    assert.equal((await api('GET', 'sys/health', undefined, '')).status, 200)
    assert.equal((await api('GET', 'ssh/roles/otp')).status, 200)
  }
  await eventually(
    async () => (await creds(api)).status === 200,
    'service did not resume by itself',
  )
  for (const otp of issued) {
    assert.equal(
      (await api('POST', 'ssh/verify', { otp }, '')).status,
      200,
      'an acknowledged password was lost',
    )
  }
})

test('a full disk under the audit log refuses every request, but health', async () => {
  await using site = await openSite(({ small, folder }) => [
    `storage "sqlite" { path = "${folder}/store.db" }`,
    `audit "file" "log" { options { file_path = "${small}/audit.log" } }`,
  ])
  const { api } = site
  {
    using _full = fillUp(site.small)
    await eventually(
      async () => (await api('GET', 'ssh/roles/otp')).status === 500,
      'reads went on unaudited',
    )
    const refused = { status: 500, body: { errors: ['internal error'] } }
    assert.deepEqual(await creds(api), refused)
    assert.deepEqual(await api('POST', 'ssh/verify', { otp: 'verify-echo-request' }, ''), refused)
    assert.deepEqual(await api('GET', 'sys/mounts', undefined, 'no-such-token'), refused)
    assert.equal((await api('GET', 'sys/health', undefined, '')).status, 200)
  }
  await eventually(
    async () => (await creds(api)).status === 200,
    'service did not resume by itself',
  )
})

test('a read-only audit file refuses every request until it can be written again', async () => {
  await using site = await openSite(({ folder }) => [
    `storage "sqlite" { path = "${folder}/store.db" }`,
    `audit "file" "log" { options { file_path = "${folder}/audit.log" } }`,
  ])
  const { api, folder } = site
  const file = path.join(folder, 'audit.log')
  {
    // The immutable mark also stops a file that is open already; permissions would not stop root.
    execFileSync('chattr', ['+i', file])
    using _readOnly = { [Symbol.dispose]: () => void execFileSync('chattr', ['-i', file]) }
    const refused = { status: 500, body: { errors: ['internal error'] } }
    assert.deepEqual(await creds(api), refused)
    assert.deepEqual(await api('GET', 'ssh/roles/otp'), refused)
    assert.equal((await api('GET', 'sys/health', undefined, '')).status, 200)
  }
  assert.equal((await creds(api)).status, 200, 'service did not resume by itself')
})

test('a log rotation that fails loses no line: the file that is open stays in use', async () => {
  await using site = await openSite(({ folder }) => [
    `storage "sqlite" { path = "${folder}/store.db" }`,
    `audit "file" "log" { options { file_path = "${folder}/audit.log" } }`,
  ])
  const { api, folder, server } = site
  const file = path.join(folder, 'audit.log')
  const lines = (name: string) => readFileSync(name, 'utf8').split('\n').length - 1
  renameSync(file, `${file}.1`)
  mkdirSync(file)
  process.kill(server.pid, 'SIGHUP')
  await eventually(
    async () => server.output().includes('could not be opened anew'),
    'the failure was not logged',
  )
  const before = lines(`${file}.1`)
  assert.equal((await creds(api)).status, 200)
  assert.equal(lines(`${file}.1`), before + 2)
  rmdirSync(file)
  process.kill(server.pid, 'SIGHUP')
  await eventually(async () => existsSync(file), 'the file was not opened anew')
  await eventually(
    async () => (await creds(api)).status === 200 && lines(file) >= 2,
    'lines go elsewhere',
  )
})
