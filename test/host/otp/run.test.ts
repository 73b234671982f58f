import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { runHost } from '../../../src/host/otp/run.ts'
import { type Answerer, type FakeAnswer, startFakeServer } from '../../client/fake-server.ts'
import { firstCertificate, secondCertificate } from '../../http/tls-material.ts'

const otp = '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c'
const granted = { data: { ip: '10.0.0.5', username: 'alice', role_name: 'web' } }

interface Run {
  readonly config?: string
  readonly stdin?: string
  readonly user?: string
  readonly flags?: string[]
  readonly answer?: Answerer
  readonly timeout?: number
  readonly environment?: Record<string, string>
}

suite('postern-host verify-otp', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-host-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  /** Runs it against a server that answers as told; by default everything fits. */
  async function run(options: Run = {}) {
    await using server = await startFakeServer(options.answer ?? (() => ({ body: granted })))
    const file = path.join(folder, 'config.hcl')
    writeFileSync(
      file,
      `vault_addr = "${server.address}"\n${options.config ?? 'allowed_roles = "web"'}\n`,
    )
    const lines: string[] = []
    const errors: string[] = []
    const status = await runHost(
      ['verify-otp', '-dev', `-config=${file}`, ...(options.flags ?? [])],
      {
        environment: {
          PAM_USER: options.user ?? 'alice',
          VAULT_TOKEN: 's.never',
          ...options.environment,
        },
        stdin: (async function* () {
          yield Buffer.from(options.stdin ?? `${otp}\0`)
        })(),
        writeOutput: () => {},
        writeError: (text) => errors.push(text),
        writeSyslog: (line) => lines.push(line),
        addresses: ['127.0.0.1', '10.0.0.5'],
      },
      options.timeout ?? 2000,
    )
    return { status, lines, errors: errors.join(''), seen: server.seen }
  }

  test('says yes to an OTP for this user, host and role, and sends what the server compares', async () => {
    const { status, seen, lines, errors } = await run()
    assert.equal(status, 0)
    assert.equal(seen.length, 1)
    assert.equal(seen[0]?.method, 'PUT')
    assert.equal(seen[0]?.url, '/v1/ssh/verify')
    assert.equal(seen[0]?.headers['x-vault-request'], 'true')
    assert.equal(seen[0]?.headers['x-vault-token'], undefined)
    assert.deepEqual(JSON.parse(seen[0]?.body ?? ''), {
      otp,
      username: 'alice',
      ips: ['127.0.0.1', '10.0.0.5'],
    })
    assert.deepEqual(lines, ['accepted alice: OTP for 10.0.0.5, role web'])
    assert.equal(errors, 'postern-host: accepted alice: OTP for 10.0.0.5, role web\n')
  })

  test('takes the password with or without a NUL or a line end behind it', async () => {
    for (const stdin of [otp, `${otp}\0`, `${otp}\n`, `${otp}\r\n`]) {
      assert.equal((await run({ stdin })).status, 0, JSON.stringify(stdin))
    }
  })

  test('makes no request for a password of another form', async () => {
    for (const stdin of ['', 'hunter2', `${otp} `, `${otp}\0\0`, otp.slice(1), 'x'.repeat(5000)]) {
      const { status, seen } = await run({ stdin })
      assert.equal(status, 1)
      assert.equal(seen.length, 0)
    }
  })

  test('makes no request without a user', async () => {
    const { status, seen } = await run({ user: '' })
    assert.equal(status, 1)
    assert.equal(seen.length, 0)
  })

  test('says no to any other answer than 200 with a grant', async () => {
    const answers: FakeAnswer[] = [
      { status: 400, body: { errors: ['OTP not found'] } },
      { status: 204 },
      { status: 201, body: granted },
      { status: 500, body: { errors: ['internal error'] } },
      { status: 503, body: { errors: ['Vault is sealed'] } },
      { body: '' },
      { body: 'yes' },
      { body: [] },
      { body: { data: null } },
      { body: { data: [granted.data] } },
      { body: granted.data },
      { body: granted, headers: { 'Content-Type': 'text/html' } },
      { body: { data: { ...granted.data, username: ['alice'] } } },
      { body: { data: { ...granted.data, ip: 167772165 } } },
      { body: { data: { ...granted.data, role_name: '' } } },
      { body: { data: { ip: '10.0.0.5', username: 'alice' } } },
      { body: `{"data":${'['.repeat(200_000)}` },
    ]
    for (const answer of answers) {
      const { status } = await run({ answer: () => answer })
      assert.equal(status, 1, JSON.stringify(answer).slice(0, 200))
    }
  })

  test('follows no redirect', async () => {
    const { status, seen } = await run({
      answer: () => ({ status: 307, headers: { Location: '/v1/other' }, body: granted }),
    })
    assert.equal(status, 1)
    assert.equal(seen.length, 1)
  })

  test('says no when the answer does not come in time', async () => {
    const { status, lines } = await run({ answer: () => ({ hangs: true }), timeout: 100 })
    assert.equal(status, 1)
    assert.match(lines.join(), /timed out/)
  })

  test('says no to an OTP for another user', async () => {
    assert.equal((await run({ user: 'root' })).status, 1)
    assert.equal((await run({ user: 'Alice' })).status, 1)
  })

  test('CVE-2020-24359: says no to an OTP for a neighbour in the same network', async () => {
    const answer = () => ({ body: { data: { ...granted.data, ip: '10.0.0.6' } } })
    const { status, lines } = await run({ answer })
    assert.equal(status, 1)
    assert.match(lines.join(), /another address/)
  })

  test('compares mapped addresses as what they are', async () => {
    const answer = () => ({ body: { data: { ...granted.data, ip: '::ffff:10.0.0.5' } } })
    assert.equal((await run({ answer })).status, 0)
  })

  test('an allowed block lets an address in that no interface has, and sends no addresses', async () => {
    const config = 'allowed_roles = "web"\nallowed_cidr_list = "192.0.2.0/24"'
    const answer = () => ({ body: { data: { ...granted.data, ip: '192.0.2.9' } } })
    const { status, seen } = await run({ config, answer })
    assert.equal(status, 0)
    assert.deepEqual(JSON.parse(seen[0]?.body ?? ''), { otp, username: 'alice' })
    const outside = () => ({ body: { data: { ...granted.data, ip: '192.0.3.9' } } })
    assert.equal((await run({ config, answer: outside })).status, 1)
  })

  test('Helper allowed_roles: none spends nothing and lets nobody in, a star lets every role in', async () => {
    const none = await run({ config: '' })
    assert.equal(none.status, 1)
    assert.equal(none.seen.length, 0)
    assert.match(none.lines.join(), /missing allowed_roles/)
    assert.equal((await run({ config: 'allowed_roles = "db,webx"' })).status, 1)
    assert.equal((await run({ config: 'allowed_roles = "db, web"' })).status, 0)
    assert.equal((await run({ config: 'allowed_roles = "*"' })).status, 0)
  })

  test('uses the mount point and the namespace of the config', async () => {
    const { seen } = await run({
      config: 'allowed_roles = "*"\nssh_mount_point = "infra/ssh"\nnamespace = "root"',
    })
    assert.equal(seen[0]?.url, '/v1/infra/ssh/verify')
    assert.equal(seen[0]?.headers['x-vault-namespace'], 'root')
  })

  test('no line holds the OTP, even when the server repeats it', async () => {
    const answer = () => ({ status: 400, body: { errors: [`OTP ${otp} not found`] } })
    const { lines, errors } = await run({ answer })
    assert.equal(lines.length, 1)
    assert.match(errors, /the server answered 400: OTP \[redacted\] not found/)
    assert.doesNotMatch(lines.join() + errors, new RegExp(otp))
  })

  test('-verify-only asks for the echo and takes no other answer', async () => {
    const flags = ['-verify-only']
    const echo = () => ({ body: { data: { message: 'verify-echo-response' } } })
    const good = await run({ flags, answer: echo })
    assert.equal(good.status, 0)
    assert.deepEqual(JSON.parse(good.seen[0]?.body ?? ''), { otp: 'verify-echo-request' })
    assert.equal((await run({ flags })).status, 1)
  })

  test('-verify-only lets nobody in when PAM runs it', async () => {
    const answer = () => ({ body: { data: { message: 'verify-echo-response' } } })
    const environment = { PAM_TYPE: 'auth' }
    const { status, seen } = await run({ flags: ['-verify-only'], answer, environment })
    assert.equal(status, 1)
    assert.equal(seen.length, 0)
  })

  test('a log level decides what is written, not what is decided', async () => {
    const quiet = await run({ flags: ['-log-level=warn'] })
    assert.equal(quiet.status, 0)
    assert.deepEqual(quiet.lines, [])
    const off = await run({ flags: ['-log-level=off'], user: 'bob' })
    assert.equal(off.status, 1)
    assert.deepEqual(off.lines, [])
  })

  test('plain http without -dev, unknown flags and verbs, and no config let nobody in', async () => {
    const file = path.join(folder, 'plain.hcl')
    writeFileSync(file, 'vault_addr = "http://127.0.0.1:1"\nallowed_roles = "*"\n')
    const surroundings = {
      environment: { PAM_USER: 'alice' },
      stdin: (async function* () {})(),
      writeOutput: () => {},
      writeError: () => {},
      writeSyslog: () => {},
    }
    for (const args of [
      [],
      ['verify'],
      ['verify-otp'],
      ['verify-otp', '-bogus'],
      ['verify-otp', `-config=${file}`],
      ['verify-otp', '-dev', '-config=/nonexistent'],
      ['verify-otp', '-dev', `-config=${file}`, '-log-level=loud'],
    ]) {
      assert.equal(await runHost(args, surroundings, 1000), 1, args.join(' '))
    }
  })

  test('over TLS the server has to prove itself to the CA of the config, before it sees the OTP', async () => {
    const { key, certificate } = firstCertificate
    const tls = { key: String(key), cert: String(certificate) }
    await using server = await startFakeServer(() => ({ body: granted }), { tls })
    const [own, other] = [path.join(folder, 'own.pem'), path.join(folder, 'other.pem')]
    writeFileSync(own, String(certificate))
    writeFileSync(other, String(secondCertificate.certificate))
    const statusWith = async (...lines: string[]) => {
      const file = path.join(folder, 'tls.hcl')
      const common = [`vault_addr = "${server.address}"`, 'allowed_roles = "web"']
      writeFileSync(file, [...common, ...lines].join('\n'))
      const surroundings = {
        environment: { PAM_USER: 'alice' },
        stdin: (async function* () {
          yield Buffer.from(otp)
        })(),
        writeOutput: () => {},
        writeError: () => {},
        writeSyslog: () => {},
        addresses: ['10.0.0.5'],
      }
      return await runHost(['verify-otp', `-config=${file}`], surroundings, 2000)
    }
    assert.equal(await statusWith(`ca_cert = "${other}"`), 1)
    assert.equal(await statusWith(), 1)
    assert.equal(await statusWith(`ca_cert = "${own}"`, 'tls_server_name = "other.test"'), 1)
    assert.equal(server.seen.length, 0)
    assert.equal(await statusWith(`ca_cert = "${own}"`), 0)
    assert.equal(await statusWith(`ca_cert = "${own}"`, 'tls_server_name = "localhost"'), 0)
    assert.equal(await statusWith('tls_skip_verify = true'), 0)
  })
})
