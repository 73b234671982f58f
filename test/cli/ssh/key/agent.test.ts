import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { addToAgent, removeFromAgent } from '../../../../src/cli/ssh/key/agent.ts'
import { parseCertificate, signCertificate } from '../../../../src/ssh/certificate/certificate.ts'
import { generateKeyPair } from '../../../../src/ssh/key/private-key.ts'
import { SshReader } from '../../../../src/ssh/reader.ts'
import { signingKey } from '../../../../src/ssh/signature.ts'
import { agentIdentities, startAgent } from '../../../support/ssh-hosts.ts'

const NOW = 1_800_000_000_000

suite('the client of ssh-agent', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-agent-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  async function identity(validBefore: bigint) {
    const [ca, pair] = [await generateKeyPair('ed25519', 0), await generateKeyPair('ed25519', 0)]
    const blob = await signCertificate(signingKey(ca), {
      subject: pair.publicKey,
      serial: 1n,
      type: 'user',
      keyId: 'test',
      principals: ['alice'],
      validAfter: 0n,
      validBefore,
      criticalOptions: new Map(),
      extensions: new Map(),
    })
    return {
      privateKey: pair.keyObject,
      certificate: parseCertificate(blob),
      comment: 'of the test',
    }
  }

  test('adds a certificate to a real agent and removes it', async () => {
    using agent = startAgent(folder)
    const one = await identity(BigInt(Math.floor(Date.now() / 1000)) + 60n)
    assert.equal(await addToAgent(agent.socket, one, Date.now()), true)
    assert.match(agentIdentities(agent.socket), /^256 SHA256:\S+ of the test \(ED25519-CERT\)\n$/)
    assert.equal(await removeFromAgent(agent.socket, one.certificate), true)
    assert.match(agentIdentities(agent.socket), /no identities/)
    assert.equal(await removeFromAgent(agent.socket, one.certificate), false)
  })

  /** An agent that says what it is told; the messages it got. */
  async function fakeAgent(answer: Buffer | undefined) {
    const socket = path.join(folder, `fake-${Math.random()}.sock`)
    const messages: Buffer[] = []
    const server = createServer((connection) => {
      connection.on('data', (piece) => {
        messages.push(piece)
        if (answer) connection.write(answer)
        else connection.destroy()
      })
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    return { socket, messages, [Symbol.dispose]: () => void server.close() }
  }

  test('the life of the identity is what the certificate has left', async () => {
    using agent = await fakeAgent(Buffer.from('0000000106', 'hex'))
    for (const [validBefore, seconds] of [
      [1_800_000_090n, 90],
      [1_799_999_000n, 1],
      [0xffff_ffff_ffff_ffffn, 0xffff_ffff],
    ] as const) {
      assert.equal(await addToAgent(agent.socket, await identity(validBefore), NOW), true)
      const message = agent.messages.at(-1) ?? Buffer.alloc(0)
      assert.equal(new SshReader(message.subarray(-4)).uint32(), seconds)
      assert.equal(message.at(-5), 1)
    }
  })

  test('an agent that refuses, hangs up, or is not there is none', async () => {
    const one = await identity(1_800_000_090n)
    using refusing = await fakeAgent(Buffer.from('0000000105', 'hex'))
    assert.equal(await addToAgent(refusing.socket, one, NOW), false)
    using silent = await fakeAgent(undefined)
    assert.equal(await addToAgent(silent.socket, one, NOW), false)
    assert.equal(await addToAgent(path.join(folder, 'absent'), one, NOW), false)
  })
})
