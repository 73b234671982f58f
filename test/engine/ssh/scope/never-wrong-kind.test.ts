/** Protocols 5.1: whatever a request says, a scoped issuer signs scoped names alone, and a bare one none. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { assertDone, assertRefused } from '../support.ts'
import {
  bareKey,
  certificateOf,
  KEY,
  mountHosts,
  mountScoped,
  scopedKey,
  sign,
  writeRole,
} from './support.ts'

const SCOPED =
  /^[a-z_][a-z0-9_.-]{0,31}@(h|g)\.[a-z0-9][a-z0-9.-]{0,62}$|^[a-z_][a-z0-9_.-]{0,31}@t\.[a-z0-9_-]{1,32}\.[a-z0-9][a-z0-9._-]{0,62}$/
const LIKE_SCOPED = /@(h|g|t|u|bg)\./i

describe('protocols 5.1', () => {
  test('a plain role with * is refused names that look scoped', async () => {
    const ssh = await mountScoped({ allowed_users: '*' })
    for (const name of [
      'root@h.web-1',
      '@u.bob',
      '@bg.web-1',
      'a@g.web',
      'a@t.env.prod',
      'a@H.web-1',
      'x@y@h.z',
    ]) {
      const answer = await sign(ssh, { valid_principals: name })
      assert.equal(answer.status, 400, name)
      assert.match(answer.error ?? '', /made by the server alone/)
      assertRefused(await sign(ssh, { valid_principals: `alice,${name}` }), 400, answer.error ?? '')
    }
    assertDone(await sign(ssh, { valid_principals: 'alice@example.org' }))
  })

  test('a role that names such a text gets no certificate for it either', async () => {
    const ssh = await mountScoped({ allowed_users: 'root@h.web-1', default_user: 'root@h.web-1' })
    assert.match((await sign(ssh)).error ?? '', /made by the server alone/)
    await writeRole(ssh, { allowed_users: '*', default_user: '@u.bob' })
    assert.match((await sign(ssh)).error ?? '', /made by the server alone/)
  })

  test('an identity can not bring such a text into a template', async () => {
    const name = '{{identity.entity.name}}'
    const ssh = await mountHosts({ identityOf: async () => () => 'root@h.web-1' })
    const templates = { default_user_template: true, allowed_users_template: true }
    await writeRole(ssh, { ...templates, allowed_users: name, default_user: name })
    const ask = (fields: object) =>
      ssh.write('sign/r', { public_key: KEY, ...fields }, { caller: { entityId: 'e' } })
    for (const fields of [{}, { valid_principals: 'root@h.web-1' }]) {
      assert.match((await ask(fields)).error ?? '', /made by the server alone/)
    }
  })

  test('a scoped issuer refuses a bare name', async () => {
    const ssh = await mountScoped({ issuer_ref: 'scoped', allowed_users: '*' })
    for (const fields of [{}, { valid_principals: 'root' }, { valid_principals: 'root@h.web-1' }]) {
      assertRefused(
        await sign(ssh, fields),
        400,
        'issuer scoped of the role is a scoped one: it signs only certificates for a host, group or tag',
      )
    }
    await writeRole(ssh, { issuer_ref: 'scoped', allow_empty_principals: true, default_user: '' })
    assert.match((await sign(ssh)).error ?? '', /^issuer scoped of the role is a scoped one/)
  })

  test('the engine signs certificates in one function', () => {
    const engine = path.resolve(import.meta.dirname, '../../../../src/engine')
    const signing = globSync('**/*.ts', { cwd: engine }).filter((file) =>
      /\bsignCertificate\(/.test(readFileSync(path.join(engine, file), 'utf8')),
    )
    assert.deepEqual(signing, ['ssh/ca/sign.ts'])
  })

  test('no request of any role gets a certificate of the wrong kind', async () => {
    const ssh = await mountHosts()
    const kinds = ['off', 'optional', 'required']
    const refs = ['default', 'scoped', String((await ssh.read('config/issuers')).data['default'])]
    for (const [at, host_scope] of kinds.entries()) {
      for (const [ref, issuer_ref] of refs.entries()) {
        assertDone(
          await ssh.write(`roles/r${at}${ref}`, {
            key_type: 'ca',
            allow_user_certificates: true,
            allow_host_certificates: true,
            allow_empty_principals: true,
            allow_bare_domains: true,
            allow_subdomains: true,
            allowed_domains: '*',
            allowed_users: '*',
            default_user: 'alice',
            allowed_hosts: '*',
            allowed_groups: '*',
            allowed_tags: '*',
            host_scope,
            issuer_ref,
          }),
        )
      }
    }
    const account = fc.constantFrom('alice', 'root', 'deploy', '*', '')
    const mark = fc.constantFrom('@h.', '@g.', '@t.', '@u.', '@bg.', '@H.', '@', '@h', ',', ' ')
    const rest = fc.constantFrom('web-1', 'web-2', 'web', 'env.prod', 'env=prod', '', '*')
    const text = fc.oneof(
      account,
      fc.tuple(account, mark, rest).map((parts) => parts.join('')),
      fc.tuple(rest, mark, rest).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 8 }),
    )
    const list = fc.array(text, { maxLength: 3 })
    const target = fc.oneof(
      fc.constant(undefined),
      fc.array(fc.oneof(rest, text), { maxLength: 3 }),
      fc.array(rest, { maxLength: 3 }).map((items) => items.join(',')),
    )
    const request = fc.record({
      role: fc.tuple(fc.nat(2), fc.nat(2)).map((parts) => `r${parts.join('')}`),
      valid_principals: fc.option(list.map((names) => names.join(','))),
      cert_type: fc.constantFrom('user', 'user', 'user', 'host'),
      host: target,
      group: target,
      tag: target,
      login_host: fc.oneof(fc.constant(''), rest, text),
    })
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(request, async ({ role, ...fields }) => {
        const answer = await ssh.write(`sign/${role}`, { public_key: KEY, ...fields })
        if (answer.status !== 200) return
        const { caKey, principals, type } = certificateOf(answer)
        const isScoped = Buffer.from(caKey.blob).equals(Buffer.from(scopedKey.blob))
        seen.add(isScoped ? 'scoped' : type)
        if (isScoped) {
          assert.equal(type, 'user')
          assert.ok(principals.length > 0)
          for (const name of principals) assert.match(name, SCOPED)
        } else {
          assert.deepEqual(caKey.blob, bareKey.blob)
          for (const name of principals) assert.doesNotMatch(name, LIKE_SCOPED)
        }
      }),
      { numRuns: 800 },
    )
    assert.deepEqual([...seen].sort(), ['host', 'scoped', 'user'])
  })
})
