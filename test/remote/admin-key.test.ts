/** The admin key signs, but never with SHA-1 (protocols 4.6). */
import assert from 'node:assert/strict'
import { verify } from 'node:crypto'
import { test } from 'node:test'
import ssh2 from 'ssh2'
import { Secret } from '../../src/redact.ts'
import { parseAdminKey } from '../../src/remote/admin-key.ts'
import { encodePrivateKey, generateKeyPair } from '../../src/ssh/key/private-key.ts'
import { toKeyObject } from '../../src/ssh/key/public-key.ts'

const data = Buffer.from('session')

test('protocols 4.6: an RSA admin key makes no SHA-1 signature', async () => {
  const { keyObject, publicKey } = await generateKeyPair('rsa', 2048)
  const key = parseAdminKey(ssh2, new Secret(encodePrivateKey(keyObject)))
  const signature = key.sign(data, 'sha256')
  assert.ok(Buffer.isBuffer(signature) && verify('sha256', data, toKeyObject(publicKey), signature))
  for (const hash of ['sha1', undefined]) assert.ok(key.sign(data, hash) instanceof Error)
})

test('an Ed25519 admin key signs without the name of a hash', async () => {
  const { keyObject, publicKey } = await generateKeyPair('ed25519', 0)
  const key = parseAdminKey(ssh2, new Secret(encodePrivateKey(keyObject)))
  const signature = key.sign(data)
  assert.ok(
    Buffer.isBuffer(signature) && verify(undefined, data, toKeyObject(publicKey), signature),
  )
})
