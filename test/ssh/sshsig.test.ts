/** SSHSIG against real ssh-keygen, both ways. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeAuthorizedKey } from '../../src/ssh/key/authorized-keys.ts'
import { encodePrivateKey } from '../../src/ssh/key/private-key.ts'
import { encodeSignature, sign, signingKey } from '../../src/ssh/signature.ts'
import {
  armor,
  parseSshSignature,
  signBlob,
  signMessage,
  unarmor,
  verifyMessage,
} from '../../src/ssh/sshsig.ts'
import { SshWriter } from '../../src/ssh/writer.ts'
import { fuzz } from '../fuzz/runs.ts'
import { caNames, vectorFile, vectorPrivateKey, vectorPublicKey } from './support.ts'

const read = (name: string) => vectorFile(`sshsig/${name}`).toString()
const namespace = 'bundle@postern'
const message = vectorFile('sshsig/message')
const refusal = (text: RegExp) => ({ name: 'SshFormatError', message: text })

test("ssh-keygen's signatures are verified, and name the key that made them", () => {
  for (const name of [...caNames, 'ed25519-sha256', 'rsa-sha256']) {
    const [keyName = ''] = name.split('-')
    const armored = read(`${name}.sig`)
    const key = verifyMessage(armored, { namespace, message })
    assert.deepEqual(key?.blob, vectorPublicKey(keyName).blob, name)
    const hash = name.endsWith('sha256') ? 'sha256' : 'sha512'
    assert.equal(parseSshSignature(unarmor(armored)).hashAlgorithm, hash)
    assert.equal(armor(unarmor(armored)), armored)
  }
})

test('a signature over another message or for another purpose does not hold', () => {
  for (const name of caNames) {
    const armored = read(`${name}.sig`)
    assert.equal(verifyMessage(armored, { namespace: 'krl@postern', message }), undefined)
    assert.equal(verifyMessage(armored, { namespace: 'bundle', message }), undefined)
    const other = Buffer.concat([message, message])
    assert.equal(verifyMessage(armored, { namespace, message: other }), undefined)
  }
})

test('a certificate as the key of a signature is refused', () => {
  assert.throws(
    () => verifyMessage(read('certificate.sig'), { namespace, message }),
    refusal(/key type|certificate/),
  )
})

/** Runs `ssh-keygen -Y` in a folder with the signature, its message and who may sign. */
function keygen(
  folder: string,
  args: readonly string[],
  input: Buffer,
): { status: number | null; text: string } {
  const run = spawnSync('ssh-keygen', ['-Y', ...args], { cwd: folder, input, encoding: 'utf8' })
  return { status: run.status, text: run.stdout + run.stderr }
}

test('ssh-keygen -Y verify and check-novalidate accept our signatures by every key', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-sshsig-'))
  try {
    for (const name of caNames) {
      const key = vectorPrivateKey(name)
      const line = `host namespaces="krl@postern" ${encodeAuthorizedKey(key.publicKey.blob)}\n`
      writeFileSync(path.join(folder, 'allowed'), line)
      writeFileSync(
        path.join(folder, 's'),
        await signMessage(signingKey(key), 'krl@postern', message),
      )
      const check = keygen(folder, ['check-novalidate', '-n', 'krl@postern', '-s', 's'], message)
      assert.equal(check.status, 0, check.text)
      const verify = ['verify', '-f', 'allowed', '-I', 'host', '-s', 's', '-n']
      assert.equal(keygen(folder, [...verify, 'krl@postern'], message).status, 0, name)
      assert.notEqual(keygen(folder, [...verify, 'bundle@postern'], message).status, 0)
      assert.notEqual(keygen(folder, [...verify, 'krl@postern'], Buffer.from('else')).status, 0)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('ssh-keygen -Y sign with a key that we wrote makes what we verify', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-sshsig-'))
  try {
    const { keyObject, publicKey } = vectorPrivateKey('ed25519')
    writeFileSync(path.join(folder, 'key'), encodePrivateKey(keyObject), { mode: 0o600 })
    const run = keygen(folder, ['sign', '-f', 'key', '-n', 'host@postern'], message)
    assert.equal(run.status, 0, run.text)
    const armored = run.text.slice(run.text.indexOf('-----BEGIN'))
    const armorEnd = armored.indexOf('-----END SSH SIGNATURE-----\n') + 28
    const signed = { namespace: 'host@postern', message }
    assert.deepEqual(verifyMessage(armored.slice(0, armorEnd), signed)?.blob, publicKey.blob)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('RSA keys sign with SHA-512, and a SHA-1 signature does not hold', async () => {
  const key = vectorPrivateKey('rsa')
  const blob = await signBlob(signingKey(key, 'ssh-rsa'), namespace, message)
  assert.equal(parseSshSignature(blob).signature.algorithm.name, 'rsa-sha2-512')
  const { publicKey, hashAlgorithm } = parseSshSignature(blob)
  const data = unarmor(read('rsa.sig'))
  assert.equal(data.subarray(0, 6).toString(), 'SSHSIG')
  const digest = await crypto.subtle.digest('SHA-512', message)
  const writer = new SshWriter().raw(Buffer.from('SSHSIG')).string(namespace).string('')
  const signed = writer.string(hashAlgorithm).string(Buffer.from(digest)).bytes()
  for (const [algorithm, holds] of [
    ['rsa-sha2-256', true],
    ['ssh-rsa', false],
  ] as const) {
    const signature = encodeSignature(await sign(signingKey(key, algorithm), signed))
    const whole = sshsig({ key: publicKey.blob, signature })
    assert.equal(verifyMessage(whole, { namespace, message }) !== undefined, holds, algorithm)
  }
})

function sshsig(fields: {
  readonly key?: Buffer
  readonly signature?: Buffer
  readonly version?: number
  readonly namespace?: string
  readonly reserved?: string
  readonly hash?: string
}): Buffer {
  const real = parseSshSignature(unarmor(read('ed25519.sig')))
  const writer = new SshWriter().raw(Buffer.from('SSHSIG')).uint32(fields.version ?? 1)
  writer.string(fields.key ?? real.publicKey.blob).string(fields.namespace ?? namespace)
  writer.string(fields.reserved ?? '').string(fields.hash ?? 'sha512')
  return writer.string(fields.signature ?? encodeSignature(real.signature)).bytes()
}

test('what is not strictly a signature is refused', async () => {
  assert.ok(verifyMessage(sshsig({}), { namespace, message }))
  for (const bytes of [
    sshsig({ version: 2 }),
    sshsig({ namespace: '' }),
    sshsig({ namespace: 'a\0b' }),
    sshsig({ reserved: 'x' }),
    sshsig({ hash: 'sha1' }),
    sshsig({ hash: '' }),
    sshsig({ hash: '__proto__' }),
    sshsig({ key: Buffer.from('no key') }),
    sshsig({ signature: Buffer.alloc(0) }),
    Buffer.concat([sshsig({}), Buffer.of(0)]),
    Buffer.concat([Buffer.from('SSHSIg'), sshsig({}).subarray(6)]),
    Buffer.alloc(20_000),
  ]) {
    assert.throws(() => verifyMessage(bytes, { namespace, message }), { name: 'SshFormatError' })
  }
  const whole = sshsig({})
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => parseSshSignature(whole.subarray(0, length)), { name: 'SshFormatError' })
  }
  const signer = signingKey(vectorPrivateKey('ed25519'))
  await assert.rejects(signBlob(signer, '', message), /namespace/)
})

test('armor is read with either line end, and with nothing around it', () => {
  const armored = read('ed25519.sig')
  const blob = unarmor(armored)
  assert.deepEqual(unarmor(armored.replaceAll('\n', '\r\n')), blob)
  assert.deepEqual(unarmor(armored.trimEnd()), blob)
  for (const text of [
    '',
    `x${armored}`,
    `\n${armored}`,
    `${armored}x`,
    armored + armored,
    armored.replace('BEGIN', 'END'),
    armored.replace('SSH SIGNATURE-----\n', 'SSH SIGNATURE-----'),
    armored.slice(0, -30),
    armored.replace('U', '*'),
    `-----BEGIN SSH SIGNATURE-----\n${'A'.repeat(40_000)}\n-----END SSH SIGNATURE-----\n`,
  ]) {
    assert.throws(() => parseSshSignature(unarmor(text)), { name: 'SshFormatError' }, text)
  }
})

test('every message and namespace comes back, and no other message verifies', async () => {
  const key = signingKey(vectorPrivateKey('ed25519'))
  const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  const words = names.filter((name) => !name.includes('\0'))
  await fc.assert(
    fc.asyncProperty(fc.uint8Array(), words, fc.nat(), async (bytes, purpose, at) => {
      const blob = await signBlob(key, purpose, bytes)
      const signed = { namespace: purpose, message: bytes }
      assert.deepEqual(verifyMessage(blob, signed)?.blob, key.publicKey.blob)
      assert.deepEqual(unarmor(armor(blob)), blob)
      const changed = Buffer.from(blob)
      const place = at % blob.length
      changed[place] = (changed[place] ?? 0) ^ 1
      assert.equal(holds(changed, signed), false)
    }),
    fuzz(100),
  )
})

function holds(blob: Buffer, signed: { namespace: string; message: Uint8Array }): boolean {
  try {
    return verifyMessage(blob, signed) !== undefined
  } catch (error) {
    assert.equal((error as Error).name, 'SshFormatError')
    return false
  }
}
