/** Which bundles a host takes, and what it makes of them (protocols 5.6). */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parseHostConfig } from '../../../src/host/config.ts'
import { Server } from '../../../src/host/enrolment/server.ts'
import type { HostKey } from '../../../src/host/enrolment/signed-request.ts'
import type { HostState } from '../../../src/host/enrolment/state.ts'
import { fetchBundle, stateAfter, writeUserCas } from '../../../src/host/service/bundle.ts'
import { alarmsOf } from '../../../src/host/service/status.ts'
import { type BundleStatement, signStatement } from '../../../src/ssh/host/statement.ts'
import { generateKeyPair } from '../../../src/ssh/key/private-key.ts'
import type { SigningKey } from '../../../src/ssh/signature.ts'
import {
  bundleOf,
  type FakeServer,
  lineOf,
  NOW_SECONDS,
  newKey,
  startFakeServer,
  stateOf,
} from '../../support/fake-host-server.ts'

suite('the bundle of a host', () => {
  let fake: FakeServer
  let key: SigningKey
  let hostKey: HostKey
  let cas: string[]
  let held: HostState

  before(async () => {
    fake = await startFakeServer()
    key = await newKey()
    const pair = await generateKeyPair('ed25519', 256)
    hostKey = { ...pair, file: '', publicLine: lineOf(pair) }
    cas = [lineOf(await newKey()), lineOf(await newKey())]
    held = stateAfter(stateOf(key), bundleOf(key, cas))
  })
  after(() => fake[Symbol.asyncDispose]())

  async function fetched(
    changes: Partial<BundleStatement>,
    options: { readonly signer?: SigningKey; readonly state?: HostState } = {},
  ): Promise<BundleStatement> {
    const { signer = key, state = held } = options
    const data = await signStatement('bundle', signer, bundleOf(signer, cas, changes))
    fake.answers.set('host/bundle', () => ({ body: JSON.stringify({ data }) }))
    return await fetchBundle(fake.server, state, hostKey, NOW_SECONDS * 1000)
  }

  test('one of now for this host is taken, again and again', async () => {
    assert.deepEqual((await fetched({})).userCas, cas)
    const { bundle, leastKrlVersion } = stateAfter(held, await fetched({ version: 11 }))
    assert.deepEqual([bundle?.version, leastKrlVersion], [11, 1])
  })

  test('protocols 5.6: one for another host, of another mount, older or frozen is refused', async () => {
    await assert.rejects(fetched({ hostId: 'web-2' }), /for the host web-2/)
    await assert.rejects(fetched({ issuer: 'cluster/other' }), /of cluster\/other/)
    await assert.rejects(fetched({ version: 9 }), /version 9, older than 10/)
    const over = { issuedAt: NOW_SECONDS - 90_000, notAfter: NOW_SECONDS }
    await assert.rejects(fetched(over), /has expired/)
  })

  test('protocols 5.6: one that an unknown key has signed is refused, and a KRL statement is no bundle', async () => {
    await assert.rejects(fetched({}, { signer: await newKey() }), /unknown key/)
    const content = { issuer: 'cluster/ssh', version: 10, sha256: 'a'.repeat(64) }
    const times = { issuedAt: NOW_SECONDS, notAfter: NOW_SECONDS + 1 }
    const data = await signStatement('krl', key, { ...content, ...times })
    fake.answers.set('host/bundle', () => ({ body: JSON.stringify({ data }) }))
    await assert.rejects(fetchBundle(fake.server, held, hostKey, NOW_SECONDS * 1000), /signature/)
  })

  test('one without a CA, or with something else in its place, is refused: nobody could log in', async () => {
    await assert.rejects(fetched({ userCas: [] }), /names no CA/)
    await assert.rejects(fetched({ userCas: [...cas, 'cert-authority'] }))
    await assert.rejects(fetched({ nextServerKey: 'ssh-ed25519 AAAA' }))
  })

  test('the key of the server changes by announcement alone', async () => {
    const [next, third] = [await newKey(), await newKey()]
    // The old key vouches for no other one.
    await assert.rejects(fetched({ serverKey: lineOf(next) }), /another key than the one/)
    await assert.rejects(fetched({}, { signer: next }), /unknown key/)
    const announced = stateAfter(held, await fetched({ nextServerKey: lineOf(next) }))
    // Until it is finished the old one goes on to sign.
    await fetched({ version: 11 }, { state: announced })
    const finished = stateAfter(
      announced,
      await fetched({ version: 12 }, { signer: next, state: announced }),
    )
    assert.equal(finished.serverKey, lineOf(next))
    assert.equal('nextServerKey' in finished, false)
    for (const signer of [key, third]) {
      await assert.rejects(fetched({ version: 13 }, { signer, state: finished }), /unknown key/)
    }
  })

  test('keys that the config names are believed, and no others', async () => {
    const other = await newKey()
    const address = fake.config.address
    const config = `vault_addr = "${address}"\nserver_key = "${lineOf(other)}"\ncluster_id = "c"`
    const server = new Server(parseHostConfig(config, true))
    const data = await signStatement('bundle', other, bundleOf(other, cas))
    try {
      await fetched({})
      await assert.rejects(fetchBundle(server, held, hostKey, NOW_SECONDS * 1000), /unknown key/)
      fake.answers.set('host/bundle', () => ({ body: JSON.stringify({ data }) }))
      assert.equal((await fetchBundle(server, held, hostKey, NOW_SECONDS * 1000)).version, 10)
    } finally {
      server.close()
    }
  })

  test('the least version of the KRL never goes back', async () => {
    const after = stateAfter(held, await fetched({ krlVersion: 5 }))
    assert.equal(stateAfter(after, await fetched({ krlVersion: 3 })).leastKrlVersion, 5)
  })

  test('its CAs are written where sshd reads them, once', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-bundle-'))
    try {
      const file = path.join(folder, 'postern', 'user_ca.pub')
      const bundle = await fetched({})
      assert.equal(writeUserCas(bundle, file), true)
      assert.equal(readFileSync(file, 'utf8'), `${cas.join('\n')}\n`)
      assert.equal(statSync(file).mode & 0o7777, 0o644)
      assert.equal(writeUserCas(bundle, file), false)
      assert.equal(writeUserCas({ ...bundle, userCas: cas.slice(1) }, file), true)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('protocols 5.6: what is too old is kept, with an alarm', () => {
    const now = NOW_SECONDS * 1000
    const times = { issuedAt: NOW_SECONDS - 60, notAfter: NOW_SECONDS + 60 }
    const krl = { version: 3, sha256: 'a'.repeat(64), ...times }
    const good = { ...held, krl }
    assert.deepEqual(alarmsOf(good, now), [])
    assert.match(alarmsOf(held, now).join(), /no KRL/)
    assert.match(alarmsOf({ ...good, leastKrlVersion: 4 }, now).join(), /newer KRL/)
    assert.match(alarmsOf(good, now + 60_000).join(), /older than a day/)
    assert.match(alarmsOf(good, now + 90_000_000).join(), /bundle has expired/)
  })
})
