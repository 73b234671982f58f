/** Issuers of both kinds: what they are is fixed when they are made (protocols 5.1). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import type { Mounted } from '../../harness.ts'
import { assertDone, assertRefused, mountCa, mountSsh } from '../support.ts'
import { bareKey, keysOf, mountHosts, scopedKey } from './support.ts'

const NEVER_DEFAULT = 'a scoped issuer is never the default one'
const line = (blob: Buffer) => `${encodeAuthorizedKey(blob)}\n`

async function scopedId(ssh: Mounted): Promise<string> {
  return String((await ssh.read('issuer/scoped')).data['issuer_id'])
}

describe('a scoped issuer', () => {
  test('is shown as such, and a bare one as ever', async () => {
    const ssh = await mountHosts()
    assert.equal((await ssh.read('issuer/scoped')).data['usage'], 'scoped')
    assert.deepEqual(Object.keys((await ssh.read('issuer/default')).data).sort(), [
      'issuer_id',
      'issuer_name',
      'public_key',
    ])
    assert.deepEqual(Object.keys((await ssh.read('config/ca')).data), [
      'issuer_id',
      'issuer_name',
      'public_key',
    ])
    const info = (await ssh.list('issuers')).data['key_info'] as Record<string, object>
    const shown = Object.values(info).map((row) => Object.keys(row).length)
    assert.deepEqual(shown.sort(), [3, 4])
  })

  test('is never the default one', async () => {
    const ssh = await mountCa('p256')
    const scoped = { ...keysOf('p384'), usage: 'scoped' }
    assertRefused(
      await ssh.write('issuers/import/s', { ...scoped, set_default: true }),
      400,
      NEVER_DEFAULT,
    )
    assertDone(await ssh.write('issuers/import/s', scoped))
    assertRefused(await ssh.write('config/issuers', { default: 's' }), 400, NEVER_DEFAULT)
    const { ssh: other } = await mountSsh()
    assertDone(await other.write('issuers/import/s', scoped))
    assertRefused(await other.read('config/ca'), 400, 'no default issuer currently configured')
    assertRefused(await other.read('public_key'), 400, 'no default issuer currently configured')
    // The first bare one becomes the default one beside it.
    assertDone(await other.write('issuers/import/b', keysOf('ed25519')))
    assert.equal((await other.read('public_key')).body, keysOf('ed25519')['public_key'])
  })

  test('stays one: its key is not imported as the other kind, nor renamed into it', async () => {
    const ssh = await mountHosts()
    const taken = (usage: string) =>
      `an issuer with this key exists already, and its usage is ${usage}`
    assertRefused(await ssh.write('issuers/import/x', keysOf('p384')), 400, taken('scoped'))
    assertRefused(
      await ssh.write('issuers/import/x', { ...keysOf('ed25519'), usage: 'scoped' }),
      400,
      taken('bare'),
    )
    assertRefused(await ssh.write('config/ca', keysOf('p384')), 400, taken('scoped'))
    assertDone(await ssh.write('issuer/scoped', { issuer_name: 'renamed', usage: 'bare' }))
    assert.equal((await ssh.read('issuer/renamed')).data['usage'], 'scoped')
    assertRefused(
      await ssh.write('issuers/import/x', { ...keysOf('p256'), usage: 'both' }),
      400,
      'usage is bare or scoped',
    )
  })

  test('goes with a warning, and another one takes its place when it is told', async () => {
    const ssh = await mountHosts()
    const id = await scopedId(ssh)
    assertDone(await ssh.write('issuers/import/next', { ...keysOf('p256'), usage: 'scoped' }))
    assert.equal((await ssh.read('config/issuers')).data['scoped'], id)
    assertDone(await ssh.write('config/issuers', { scoped: 'next' }))
    assert.notEqual((await ssh.read('config/issuers')).data['scoped'], id)
    assertRefused(
      await ssh.write('config/issuers', { scoped: 'default' }),
      400,
      'issuer default is not a scoped one',
    )
    assertRefused(
      await ssh.write('config/issuers', { scoped: 'next', default: 'next' }),
      400,
      'default and scoped are set one at a time',
    )
    assert.deepEqual((await ssh.delete('issuer/scoped')).warnings, [])
    const { warnings } = await ssh.delete('issuer/next')
    assert.match(warnings[0] ?? '', /it signed the certificates for chosen hosts/)
    assert.ok(!('scoped' in (await ssh.read('config/issuers')).data))
    assertRefused(
      await ssh.read('public_key', { usage: 'scoped' }),
      400,
      'no scoped issuer currently configured: write host_scope=true to config/hosts',
    )
  })

  test('survives the deletion of the default one', async () => {
    const ssh = await mountHosts()
    const { data } = await ssh.read('config/issuers')
    assertDone(await ssh.delete(`issuer/${data['default']}`))
    assert.equal((await ssh.read('public_key', { usage: 'scoped' })).status, 200)
  })
})

describe('public_key', () => {
  test('with usage=scoped shows the keys of scoped issuers alone, the signing one first', async () => {
    const ssh = await mountHosts()
    const shown = async (data: Record<string, unknown>) => (await ssh.read('public_key', data)).body
    assert.equal(await shown({ usage: 'scoped' }), line(scopedKey.blob))
    assert.equal(await shown({}), keysOf('ed25519')['public_key'])
    assert.equal(await shown({ usage: 'bare' }), await shown({}))
    assertDone(await ssh.write('issuers/import/a', { ...keysOf('p256'), usage: 'scoped' }))
    const lines = String(await shown({ usage: 'scoped' })).split(/(?<=\n)/)
    assert.equal(lines.length, 2)
    assert.equal(lines[0], line(scopedKey.blob))
    assert.ok(!lines.includes(line(bareKey.blob)))
    assertDone(await ssh.write('config/issuers', { scoped: 'a' }))
    assert.equal(String(await shown({ usage: 'scoped' })).split(/(?<=\n)/)[1], line(scopedKey.blob))
    assertRefused(await ssh.read('public_key', { usage: 'x' }), 400, 'usage is bare or scoped')
  })
})
