/** The line that a lease puts on a host (sshd(8), AUTHORIZED_KEYS FILE FORMAT; protocols 4.3 and 4.7). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  authorizedLine,
  expirySeconds,
} from '../../../../../src/engine/ssh/dynamic/host/authorized-line.ts'

const key = {
  publicKey: 'ssh-ed25519 AAAAC3Nz',
  keyOptionSpecs: '',
  leaseId: 'ssh/creds/web/abc',
  expiresAt: Date.UTC(2026, 10, 22, 18, 0, 0),
}

test('protocols 4.3: the expiry comes first, then the options, the key, and a comment that names the lease', () => {
  const specs = 'restrict,command="echo a b"'
  assert.equal(
    authorizedLine({ ...key, keyOptionSpecs: specs }),
    `expiry-time="20261122175959Z",${specs} ssh-ed25519 AAAAC3Nz postern:ssh/creds/web/abc`,
  )
  assert.equal(
    authorizedLine(key),
    'expiry-time="20261122175959Z" ssh-ed25519 AAAAC3Nz postern:ssh/creds/web/abc',
  )
})

test('the last second is one that lies wholly before the end of the lease', () => {
  const seconds = (expiresAt: number) => expirySeconds({ ...key, expiresAt })
  assert.deepEqual([10_000, 10_001, 10_999, 11_000].map(seconds), [9, 10, 10, 10])
})

test('a lease id is one word of the comment, whatever its mount is called', () => {
  const line = authorizedLine({ ...key, leaseId: 'my mount,made=file\n"x/é/creds/r/abc' })
  assert.match(line, / postern:my_mount_made_file__x\/_\/creds\/r\/abc$/)
  assert.match(
    authorizedLine({ ...key, leaseId: `${'a'.repeat(999)}/tail` }),
    / postern:a{195}\/tail$/,
  )
})

test('what is no type and base64 makes no line', () => {
  for (const publicKey of [
    'ssh-ed25519',
    'ssh-ed25519 AAAA me',
    'ssh-ed25519 AAAA\n',
    '"a b" AAAA',
  ]) {
    assert.throws(() => authorizedLine({ ...key, publicKey }), TypeError)
  }
})
