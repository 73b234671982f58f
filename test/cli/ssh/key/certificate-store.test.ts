import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { CertificateStore } from '../../../../src/cli/ssh/key/certificate-store.ts'
import { quoteForSsh } from '../../../../src/cli/ssh/key/private-folder.ts'
import { signCertificate } from '../../../../src/ssh/certificate/certificate.ts'
import { encodeAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { generateKeyPair } from '../../../../src/ssh/key/private-key.ts'
import type { PublicKey } from '../../../../src/ssh/key/public-key.ts'
import { signingKey } from '../../../../src/ssh/signature.ts'

const NOW = 1_800_000_000_000

suite('the certificates of plain ssh', () => {
  let folder: string
  let store: CertificateStore

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-store-'))
  })
  beforeEach(() => {
    rmSync(folder, { recursive: true, force: true })
    store = new CertificateStore(folder, 'alice')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  async function lineFor(subject: PublicKey, validBefore: bigint, validAfter = 0n) {
    const blob = await signCertificate(signingKey(await generateKeyPair('ed25519', 0)), {
      subject,
      serial: 1n,
      type: 'user',
      keyId: 'k',
      principals: ['alice'],
      validAfter,
      validBefore,
      criticalOptions: new Map(),
      extensions: new Map(),
    })
    return `${encodeAuthorizedKey(blob)}\n`
  }

  test('has one pair, with private files', async () => {
    await store.exclusively(async () => {
      const key = await store.publicKey()
      assert.deepEqual((await store.publicKey()).blob, key.blob)
    })
    assert.deepEqual(readdirSync(folder).sort(), ['alice', 'alice.pub'])
    for (const name of ['alice', 'alice.pub']) {
      assert.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600)
    }
  })

  test('is ready for another minute, with the right key, and not before its time', async () => {
    await store.exclusively(async () => {
      const key = await store.publicKey()
      for (const [line, isReady] of [
        [await lineFor(key, 1_800_000_061n), true],
        [await lineFor(key, 1_800_000_060n), false],
        [await lineFor(key, 0xffff_ffff_ffff_ffffn), true],
        [await lineFor(key, 1_800_001_000n, 1_800_000_001n), false],
        [await lineFor((await generateKeyPair('ed25519', 0)).publicKey, 1_800_001_000n), false],
        ['ssh-ed25519-cert-v01@openssh.com AAAA\n', false],
        ['', false],
      ] as const) {
        store.write(line)
        assert.equal(store.isReady(key, NOW), isReady, line)
      }
      store.write(await lineFor(key, 1_800_000_010n))
      assert.equal(store.isReady(undefined, NOW, 0), true)
    })
  })

  test('of runs at once one does the work, and the others wait for it', async () => {
    let count = 0
    const work = async () => {
      count++
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    const done = await Promise.all(Array.from({ length: 20 }, () => store.exclusively(work)))
    assert.equal(count, 1)
    assert.equal(done.filter(Boolean).length, 1)
    assert.deepEqual(readdirSync(folder), [])
  })

  test('work that fails leaves no lock', async () => {
    await assert.rejects(
      store.exclusively(() => Promise.reject(new Error('no'))),
      /no/,
    )
    assert.deepEqual(readdirSync(folder), [])
  })

  test('a lock of long ago is taken over', async () => {
    await store.exclusively(async () => {})
    const lock = path.join(folder, 'alice.lock')
    writeFileSync(lock, String(process.ppid))
    utimesSync(lock, 1_000_000, 1_000_000)
    assert.equal(await store.exclusively(async () => {}), true)
  })

  test('who waits for a run that dies takes its work over, once', async () => {
    await store.exclusively(async () => {})
    const holder = spawn('sleep', ['60'], { stdio: 'ignore' })
    writeFileSync(path.join(folder, 'alice.lock'), String(holder.pid))
    let count = 0
    const runs = [1, 2, 3].map(() =>
      store.exclusively(async () => {
        count++
        await new Promise((resolve) => setTimeout(resolve, 60))
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 60))
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const done = await Promise.all(runs)
    assert.deepEqual([count, done.filter(Boolean).length], [1, 1])
    assert.deepEqual(readdirSync(folder), [])
  })

  test('a user that is no file name has none', () => {
    for (const user of ['../x', 'a/b', '.', '..', '.x', 'a.pub', 'a.lock']) {
      assert.throws(() => new CertificateStore(folder, user), /not a user name/, user)
    }
  })
})

suite("a path in ssh's configuration", () => {
  test('is quoted, with percent signs doubled', () => {
    assert.equal(quoteForSsh('/a b/100%'), '"/a b/100%%"')
  })

  test('is refused where it can not be written', () => {
    for (const file of ['/a"b', '/a\\b', '/a\nb', '/$' + '{HOME}']) {
      assert.throws(() => quoteForSsh(file), /ssh can't take the path/)
    }
  })
})
