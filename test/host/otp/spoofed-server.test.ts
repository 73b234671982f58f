/** A server that says yes to everything, before a host that knows its own server's key (protocols 5.5). */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { runHost } from '../../../src/host/otp/run.ts'
import { VERIFY_NAMESPACE, verifyMessageBytes } from '../../../src/ssh/host/verify-message.ts'
import type { PrivateKey } from '../../../src/ssh/key/private-key.ts'
import { signMessage } from '../../../src/ssh/sshsig.ts'
import { type Answerer, type SeenRequest, startFakeServer } from '../../client/fake-server.ts'
import { vector, vectorPrivateKey } from '../../ssh/support.ts'

const otp = '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c'
const granted = { ip: '10.0.0.5', username: 'alice', role_name: 'web' }
const server = vectorPrivateKey('ed25519')
const pinned = `server_key = "${vector('ed25519.pub').trim()}"\ncluster_id = "c-1"`

interface Body {
  readonly otp: string
  readonly username: string
  readonly nonce: string
}

/** What the server's key says to a request. */
async function sign(asked: Body, key: PrivateKey = server, time: number = seconds()) {
  const message = verifyMessageBytes({
    clusterId: 'c-1',
    mountPath: 'ssh',
    nonce: asked.nonce,
    otp: asked.otp,
    username: asked.username,
    ip: granted.ip,
    roleName: granted.role_name,
    hostId: '',
    unixSeconds: time,
  })
  return { time, signature: await signMessage(key, VERIFY_NAMESPACE, message) }
}

const seconds = () => Math.floor(Date.now() / 1000)
const bodyOf = (request: SeenRequest): Body => JSON.parse(request.body)

suite('a host that knows the key of its server', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-host-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  async function run(answer: Answerer, config: string = pinned, password: string = otp) {
    await using fake = await startFakeServer(answer)
    const file = path.join(folder, 'config.hcl')
    writeFileSync(file, `vault_addr = "${fake.address}"\nallowed_roles = "*"\n${config}\n`)
    const lines: string[] = []
    const status = await runHost(
      ['verify-otp', '-dev', `-config=${file}`],
      {
        environment: { PAM_USER: 'alice' },
        stdin: (async function* () {
          yield Buffer.from(password)
        })(),
        writeOutput: () => {},
        writeError: () => {},
        writeSyslog: (line) => lines.push(line),
        addresses: ['10.0.0.5'],
      },
      2000,
    )
    return { status, lines: lines.join(), seen: fake.seen }
  }

  /** What one refused request asked. */
  async function askedOnce(): Promise<Body> {
    const { seen } = await run(() => ({ status: 400, body: { errors: ['no'] } }))
    return bodyOf(seen[0] as SeenRequest)
  }

  test('sends 32 random bytes each time', async () => {
    const [one, two] = [await askedOnce(), await askedOnce()]
    assert.match(one.nonce, /^[\w-]{43}$/)
    assert.notEqual(one.nonce, two.nonce)
  })

  test('believes an answer that the server signed for this request', async () => {
    const { status } = await run((request) => ({
      body: sign(bodyOf(request)).then((more) => ({ data: { ...granted, ...more } })),
    }))
    assert.equal(status, 0)
  })

  test('protocols 5.5: an unsigned yes lets nobody in', async () => {
    const { status, lines } = await run(() => ({ body: { data: granted } }))
    assert.equal(status, 1)
    assert.match(lines, /not signed/)
  })

  test('protocols 5.5: a yes that another key signed lets nobody in', async () => {
    const { status, lines } = await run((request) => ({
      body: sign(bodyOf(request), vectorPrivateKey('p256')).then((more) => ({
        data: { ...granted, ...more },
      })),
    }))
    assert.equal(status, 1)
    assert.match(lines, /another key/)
  })

  test('protocols 5.5: an older answer to the same password lets nobody in again', async () => {
    const old = await sign(await askedOnce())
    const { status, lines } = await run(() => ({ body: { data: { ...granted, ...old } } }))
    assert.equal(status, 1)
    assert.match(lines, /another answer/)
  })

  test('protocols 5.5: an answer that is too old or of the future lets nobody in', async () => {
    for (const skew of [-130, 130]) {
      const { status } = await run((request) => ({
        body: sign(bodyOf(request), server, seconds() + skew).then((more) => ({
          data: { ...granted, ...more },
        })),
      }))
      assert.equal(status, 1)
    }
  })

  test('any of several keys will do; a key without its cluster lets nobody in, and asks nobody', async () => {
    const answer: Answerer = (request) => ({
      body: sign(bodyOf(request)).then((more) => ({ data: { ...granted, ...more } })),
    })
    const keys = [vector('p256.pub'), vector('ed25519.pub')].map((line) => line.trim()).join(', ')
    assert.equal((await run(answer, `server_key = "${keys}"\ncluster_id = "c-1"`)).status, 0)
    for (const half of [`server_key = "${keys}"`, 'cluster_id = "c-1"']) {
      const { status, seen } = await run(answer, half)
      assert.equal(status, 1)
      assert.equal(seen.length, 0)
    }
  })
})
