/** Bundles and statements of KRLs: signed, opened, refused (protocols 5.6). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type BundleStatement,
  issuerName,
  type KrlStatement,
  openStatement,
  STATEMENT_SECONDS,
  signStatement,
} from '../../../src/ssh/host/statement.ts'
import { encodeAuthorizedKey } from '../../../src/ssh/key/authorized-keys.ts'
import { signingKey } from '../../../src/ssh/signature.ts'
import { signMessage } from '../../../src/ssh/sshsig.ts'
import { fuzz } from '../../fuzz/runs.ts'
import { vectorPrivateKey } from '../support.ts'

const key = signingKey(vectorPrivateKey('ed25519'))
const otherKey = signingKey(vectorPrivateKey('p256'))
const trusted = [key.publicKey]
const now = 1_795_000_000
const times = { version: 12, issuedAt: now, notAfter: now + STATEMENT_SECONDS }
const line = encodeAuthorizedKey(key.publicKey.blob)

const krl: KrlStatement = { ...times, issuer: 'c1/ssh', sha256: 'ab'.repeat(32) }
const bundle: BundleStatement = {
  ...times,
  issuer: 'c1/ssh',
  hostId: 'web-1',
  krlVersion: 7,
  serverKey: line,
  userCas: [line],
  accounts: ['root'],
  groups: ['web'],
  tags: ['env=prod'],
  hostCertificates: true,
}

const refusal = (message: RegExp) => ({ name: 'SshFormatError', message })

/** A statement whose text is ours to choose, signed all the same. */
async function signed(members: unknown, namespace = 'krl@postern') {
  const statement = typeof members === 'string' ? members : JSON.stringify(members)
  return { statement, signature: await signMessage(key, namespace, Buffer.from(statement)) }
}

const krlText = async () => JSON.parse((await signStatement('krl', key, krl)).statement)
const bundleText = async () => JSON.parse((await signStatement('bundle', key, bundle)).statement)

test('protocols 5.6: what was signed is what is opened', async () => {
  const ofKrl = openStatement('krl', await signStatement('krl', key, krl), trusted, now)
  assert.deepEqual(ofKrl.content, krl)
  assert.deepEqual([ofKrl.key.blob, ofKrl.isExpired], [key.publicKey.blob, false])
  for (const content of [bundle, { ...bundle, nextServerKey: `${line}`, tags: [] }]) {
    const travelled = await signStatement('bundle', otherKey, content)
    const opened = openStatement('bundle', travelled, [...trusted, otherKey.publicKey], now)
    assert.deepEqual(opened.content, content)
    assert.deepEqual(opened.key.blob, otherKey.publicKey.blob)
  }
})

test('protocols 5.6: a statement names what it is for, in the members that hosts read', async () => {
  assert.deepEqual(await krlText(), {
    issuer: 'c1/ssh',
    version: 12,
    issued_at: now,
    not_after: now + 86_400,
    sha256: 'ab'.repeat(32),
  })
  assert.deepEqual(await bundleText(), {
    issuer: 'c1/ssh',
    version: 12,
    issued_at: now,
    not_after: now + 86_400,
    host_id: 'web-1',
    krl_version: 7,
    server_key: line,
    user_cas: [line],
    accounts: ['root'],
    groups: ['web'],
    tags: ['env=prod'],
    host_certificates: true,
    grants: {},
  })
  assert.equal(issuerName('c1', 'team/ssh/'), 'c1/team/ssh')
  assert.equal(issuerName('c1', '/ssh'), 'c1/ssh')
})

test('protocols 5.6: a bundle is no KRL statement, and the other way round', async () => {
  const [asKrl, asBundle] = [
    await signStatement('krl', key, krl),
    await signStatement('bundle', key, bundle),
  ]
  assert.throws(() => openStatement('bundle', asKrl, trusted, now), refusal(/something else/))
  assert.throws(() => openStatement('krl', asBundle, trusted, now), refusal(/something else/))
})

test('protocols 5.6: a changed text, another signature or an unknown key is refused', async () => {
  const { statement, signature } = await signStatement('krl', key, krl)
  const newer = { statement: statement.replace('"version":12', '"version":13'), signature }
  assert.throws(() => openStatement('krl', newer, trusted, now), refusal(/signature is wrong/))
  const spaced = { statement: `${statement} `, signature }
  assert.throws(() => openStatement('krl', spaced, trusted, now), refusal(/signature is wrong/))
  const genuine = { statement, signature }
  for (const keys of [[], [otherKey.publicKey]]) {
    assert.throws(() => openStatement('krl', genuine, keys, now), refusal(/unknown key/))
  }
  const unsigned = { statement, signature: '' }
  assert.throws(() => openStatement('krl', unsigned, trusted, now), { name: 'SshFormatError' })
})

test('protocols 5.6: what is past its end is opened and said to be expired', async () => {
  const travelled = await signStatement('krl', key, krl)
  const isExpired = (at: number) => openStatement('krl', travelled, trusted, at).isExpired
  assert.deepEqual([now - 9999, krl.notAfter - 1, krl.notAfter, krl.notAfter + 1].map(isExpired), [
    false,
    false,
    true,
    true,
  ])
})

test('members that nobody knows yet are ignored', async () => {
  const later = { ...(await bundleText()), grants: { '@u.bob': ['root'] }, more: [1] }
  const travelled = await signed(later, 'bundle@postern')
  assert.deepEqual(openStatement('bundle', travelled, trusted, now).content, bundle)
})

test('a signed text that is no statement is refused, with the member that is wrong', async () => {
  const good = await krlText()
  const faults: [string, unknown][] = [
    ['issuer', ''],
    ['issuer', 'a\nb'],
    ['version', -1],
    ['version', 1.5],
    ['version', '12'],
    ['version', 2 ** 53],
    ['issued_at', null],
    ['not_after', now - 1],
    ['sha256', 'AB'.repeat(32)],
    ['sha256', 'ab'],
  ]
  for (const [member, value] of faults) {
    const travelled = await signed({ ...good, [member]: value })
    assert.throws(() => openStatement('krl', travelled, trusted, now), refusal(new RegExp(member)))
  }
  for (const member of Object.keys(good)) {
    const travelled = await signed({ ...good, [member]: undefined })
    assert.throws(() => openStatement('krl', travelled, trusted, now), refusal(new RegExp(member)))
  }
  const wide = await bundleText()
  for (const [member, value] of [
    ['accounts', 'root'],
    ['accounts', ['root', 7]],
    ['user_cas', [`${line}\n${line}`]],
    ['groups', {}],
    ['host_certificates', 'true'],
    ['next_server_key', null],
    ['krl_version', undefined],
    ['host_id', undefined],
  ] as const) {
    const travelled = await signed({ ...wide, [member]: value }, 'bundle@postern')
    assert.throws(
      () => openStatement('bundle', travelled, trusted, now),
      refusal(new RegExp(member)),
    )
  }
  for (const text of ['', '{', '[]', 'null', '7', '{"__proto__": {"issuer": "c"}}']) {
    const travelled = await signed(text)
    assert.throws(() => openStatement('krl', travelled, trusted, now), { name: 'SshFormatError' })
  }
})

test('a text that is too long, or has half a character, is refused before it is verified', async () => {
  const long = await signed(JSON.stringify({ ...krl, more: 'x'.repeat(1_100_000) }))
  assert.throws(() => openStatement('krl', long, trusted, now), refusal(/too long/))
  const { statement, signature } = await signed({ ...(await krlText()), issuer: '\ufffd' })
  assert.equal(
    openStatement('krl', { statement, signature }, trusted, now).content.issuer,
    '\ufffd',
  )
  const half = { statement: statement.replace('\ufffd', '\ud800'), signature }
  assert.throws(() => openStatement('krl', half, trusted, now), refusal(/not text/))
})

test('ssh-keygen -Y verify accepts a KRL statement for its namespace alone', async () => {
  const { statement, signature } = await signStatement('krl', key, krl)
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-statement-'))
  try {
    writeFileSync(path.join(folder, 'allowed'), `server ${line}\n`)
    writeFileSync(path.join(folder, 'sig'), signature)
    const verify = (namespace: string) =>
      spawnSync(
        'ssh-keygen',
        ['-Y', 'verify', '-f', 'allowed', '-I', 'server', '-n', namespace, '-s', 'sig'],
        { cwd: folder, input: statement },
      ).status
    assert.equal(verify('krl@postern'), 0)
    assert.notEqual(verify('bundle@postern'), 0)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('no statement makes the reader throw anything but SshFormatError', async () => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(line, now, 'web-1', []))
  const names = [...Object.keys(await bundleText()), '__proto__', 'constructor']
  const change = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 4 })
  const whole = await bundleText()
  await fc.assert(
    fc.asyncProperty(fc.oneof(change, fc.jsonValue()), async (members) => {
      const travelled = await signed({ ...whole, ...(members as object) }, 'bundle@postern')
      try {
        openStatement('bundle', travelled, trusted, now)
      } catch (error) {
        assert.equal((error as Error).name, 'SshFormatError')
      }
    }),
    fuzz(200),
  )
})
