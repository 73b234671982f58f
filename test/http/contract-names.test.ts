/** What the decisions of the contract and known holes elsewhere are about, asked over HTTP of a real core. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { mountSsh, startTestCore, type TestCore, tokenWith } from '../support/core.ts'
import { type Answer, ask, start } from './harness.ts'

interface Site {
  readonly core: TestCore
  /** As root, or with a token ('' for none). */
  ask(
    line: string,
    options?: { token?: string; headers?: string[]; body?: object },
  ): Promise<Answer>
}

async function startSite(t: TestContext): Promise<Site> {
  const core = await startTestCore()
  t.after(() => core.close())
  const started = await start(t, { handle: (request) => core.core.handle(request) })
  return {
    core,
    ask: (line, { token = core.rootToken, headers = [], body } = {}) => {
      const own = token === '' ? [] : [`X-Vault-Token: ${token}`]
      return ask(
        started,
        line,
        [...own, ...headers],
        body === undefined ? '' : JSON.stringify(body),
      )
    },
  }
}

test('Decision 13: there are no namespaces but the root', async (t) => {
  const site = await startSite(t)
  const at = (namespace: string) =>
    site.ask('GET /v1/sys/mounts', { headers: [`X-Vault-Namespace: ${namespace}`] })
  for (const name of ['', 'root', 'root/', '/']) {
    assert.equal((await at(name)).status, 200, name)
  }
  assert.equal((await at('root')).headers.get('x-vault-namespace'), 'root')
  for (const name of ['ns1', 'ns1/', 'root/ns1', 'Root', 'admin']) {
    const { status, body } = await at(name)
    assert.equal(status, 404, name)
    assert.deepEqual(JSON.parse(body), { errors: ['namespace not found'] })
  }
  assert.equal((await site.ask('GET /v1/ns1/sys/mounts')).status, 404)
  assert.equal((await site.ask('LIST /v1/sys/namespaces')).status, 404)
})

test('Decision 14: paths of clusters and of the enterprise edition are a 404', async (t) => {
  const site = await startSite(t)
  const removed = [
    'sys/replication/status',
    'sys/replication/dr/primary/enable',
    'sys/storage/raft/configuration',
    'sys/storage/raft/snapshot',
    'sys/license/status',
    'sys/namespaces/ns1',
    'sys/control-group/request',
    'sys/policies/egp/p',
    'sys/policies/rgp/p',
    'sys/sealwrap/rewrap',
    'sys/managed-keys/pkcs11',
    'sys/mfa/method/totp/m',
    'transform/role/r',
  ]
  for (const path of removed) {
    for (const method of ['GET', 'LIST', 'PUT', 'DELETE']) {
      const { status, body } = await site.ask(`${method} /v1/${path}`)
      assert.equal(status, 404, `${method} ${path}: ${body}`)
    }
  }
})

describe('Decision 16', () => {
  test('tokens are s. and 24 letters, accessors 24 letters', async (t) => {
    const site = await startSite(t)
    const answer = await site.ask('POST /v1/auth/token/create', { body: { policies: ['default'] } })
    const { auth } = JSON.parse(answer.body)
    assert.match(auth.client_token, /^s\.[0-9A-Za-z]{24}$/)
    assert.match(auth.accessor, /^[0-9A-Za-z]{24}$/)
    const wrapped = await site.ask('GET /v1/sys/mounts', { headers: ['X-Vault-Wrap-TTL: 60'] })
    const { wrap_info: wrap } = JSON.parse(wrapped.body)
    assert.match(wrap.token, /^s\.[0-9A-Za-z]{24}$/)
    assert.match(wrap.accessor, /^[0-9A-Za-z]{24}$/)
  })

  test('lease ids are the path and 24 letters, or a UUID under compat=2015', async (t) => {
    const site = await startSite(t)
    await mountSsh(site.core)
    const options = { type: 'ssh', options: { compat: '2015' } }
    await site.ask('POST /v1/sys/mounts/old', { body: options })
    const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
    await site.ask('POST /v1/old/roles/web', { body: role })
    const lease = async (mount: string): Promise<string> => {
      const answer = await site.ask(`PUT /v1/${mount}/creds/web`, { body: { ip: '10.0.0.1' } })
      return JSON.parse(answer.body).lease_id
    }
    assert.match(await lease('ssh'), /^ssh\/creds\/web\/[0-9A-Za-z]{24}$/)
    assert.match(
      await lease('old'),
      /^old\/creds\/web\/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    )
  })
})

describe('CVE-2026-3605, GHSA-xp3c-3jw3-4vcr: a deny holds however its path is asked for', () => {
  const ALLOW = 'path "ssh/*" { capabilities = ["read", "list", "update", "delete", "scan"] }'
  const lists = [
    'LIST /v1/ssh/roles',
    'LIST /v1/ssh/roles/',
    'GET /v1/ssh/roles?list=true',
    'GET /v1/ssh/roles/?list=true',
    'GET /v1/ssh/roles?list=1',
    'LIST /v1/ssh/%72oles',
    'LIST /v1/%73%73h/role%73/',
    'GET /v1/%73sh/%72oles?list=true',
    'LIST http://other.example/v1/ssh/roles',
  ]
  const reads = [
    'GET /v1/ssh/roles/web',
    'GET /v1/ssh/roles/%77eb',
    'GET /v1/ssh/%72oles/web',
    'DELETE /v1/ssh/roles/w%65b',
  ]
  for (const [denied, targets] of [
    ['ssh/roles', lists],
    ['ssh/roles/', lists],
    ['ssh/roles*', [...lists, ...reads]],
    ['ssh/roles/*', [...lists, ...reads]],
    ['ssh/+/web', reads],
    ['ssh/roles/web', reads],
  ] as const) {
    test(`of ${denied}`, async (t) => {
      const site = await startSite(t)
      await mountSsh(site.core)
      const allowed = await tokenWith(site.core, ALLOW)
      const token = await tokenWith(
        site.core,
        `${ALLOW}\npath "${denied}" { capabilities = ["deny"] }`,
      )
      for (const target of targets) {
        const { status, body } = await site.ask(target, { token })
        assert.equal(status, 403, `${target}: ${body}`)
        assert.doesNotMatch(body, /web|ubuntu/)
        // Else the target would prove nothing.
        if (target.startsWith('DELETE')) continue
        assert.equal((await site.ask(target, { token: allowed })).status, 200, target)
      }
    })
  }

  test('detours by empty, dot and encoded segments lead to no other decision', async (t) => {
    const site = await startSite(t)
    await mountSsh(site.core)
    const token = await tokenWith(
      site.core,
      `${ALLOW}\npath "ssh/roles/*" { capabilities = ["deny"] }`,
    )
    const detours = [
      '/v1/ssh//roles',
      '/v1/ssh/./roles/',
      '/v1/ssh/x/../roles/web',
      '/v1//ssh/roles/web',
      '/v1/../v1/ssh/roles/web',
    ]
    for (const detour of detours) {
      for (const method of ['LIST', 'GET']) {
        const first = await site.ask(`${method} ${detour}`, { token })
        assert.equal(first.status, 307, detour)
        const location = first.headers.get('location') ?? ''
        assert.match(location, /^\/v1\/ssh\/roles/)
        const query = method === 'GET' && !location.endsWith('web') ? '?list=true' : ''
        const second = await site.ask(`${method} ${location}${query}`, { token })
        assert.equal(second.status, 403, `${method} ${detour}: ${second.body}`)
      }
    }
    const refused = [
      '/v1/ssh/x/%2e%2e/roles/web',
      '/v1/ssh%2froles/web',
      '/v1/ssh/roles%2Fweb',
      '/v1/ssh/roles/web%00',
      '/v1/ssh/%2572oles/web',
      '/v1/ssh\\roles\\web',
    ]
    for (const target of refused) {
      for (const method of ['LIST', 'GET']) {
        assert.equal((await site.ask(`${method} ${target}`, { token })).status, 400, target)
      }
    }
  })
})
