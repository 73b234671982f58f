import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  mountCa,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../support/core.ts'

const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a'
const ODD = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  await mountCa(server)
})
after(() => server.close())

/** `__proto__` as an own member, as JSON.parse makes it. */
const objectOf = (name: string, value: unknown): object =>
  JSON.parse(JSON.stringify({ x: value }).replace('"x"', JSON.stringify(name)))

for (const name of ODD) {
  describe(`protocols 3.1: ${name} is a name like others`, () => {
    test('of a role', async () => {
      assert.equal((await refusalOf(server.send('read', `ssh/roles/${name}`))).status, 404)
      const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
      await server.send('update', `ssh/roles/${name}`, role)
      const { data } = await server.call('update', `ssh/creds/${name}`, { ip: '10.0.0.1' })
      assert.equal(data?.['username'], 'ubuntu')
      await server.send('delete', `ssh/roles/${name}`)
      assert.equal((await refusalOf(server.send('read', `ssh/roles/${name}`))).status, 404)
    })

    test('of a policy', async () => {
      assert.equal((await refusalOf(server.send('read', `sys/policies/acl/${name}`))).status, 404)
      const unknown = await tokenOf(server, { policies: [name] })
      const read = (token: string) => server.send('read', 'sys/mounts', {}, { token })
      assert.equal((await refusalOf(read(unknown))).status, 403)
      const policy = 'path "sys/mounts" { capabilities = ["read"] }'
      await server.send('update', `sys/policies/acl/${name}`, { policy })
      assert.equal((await read(unknown)).status, 200)
      await server.send('delete', `sys/policies/acl/${name}`)
      assert.equal((await refusalOf(read(unknown))).status, 403)
    })

    test('of a mount', async () => {
      assert.equal((await refusalOf(server.send('read', `${name}/roles/x`))).status, 404)
      await server.send('update', `sys/mounts/${name}`, { type: 'ssh' })
      const { data } = await server.call('read', 'sys/mounts')
      assert.ok(Object.hasOwn(data ?? {}, `${name}/`))
      assert.equal((await refusalOf(server.send('read', `${name}/roles/x`))).status, 404)
      await server.send('delete', `sys/mounts/${name}`)
    })

    test('of metadata', async () => {
      const token = await tokenOf(server, { policies: ['default'], meta: objectOf(name, 'v') })
      const { data } = await server.call('read', 'auth/token/lookup-self', {}, { token })
      const meta = data?.['meta'] as object
      assert.deepEqual(Object.entries(meta), [[name, 'v']])
      assert.equal(Object.getPrototypeOf(meta), Object.prototype)
    })

    test('of an extension', async () => {
      const sign = (extensions: object) =>
        server.send('update', 'ssh/sign/sign', { public_key: PUBLIC_KEY, extensions })
      const refusal = await refusalOf(sign(objectOf(name, '')))
      assert.equal(refusal.status, 400)
      assert.ok(refusal.message?.includes(name))
    })

    test('of a field that nobody declared', async () => {
      const { warnings } = await server.call('update', 'sys/tools/random', objectOf(name, 'v'))
      assert.deepEqual(warnings, [`Endpoint ignored these unrecognized parameters: [${name}]`])
    })

    test('of data in a cubbyhole, in a wrap, of a capability', async () => {
      const data = objectOf(name, { a: 1 })
      await server.send('update', 'cubbyhole/odd', data)
      const read = await server.call('read', 'cubbyhole/odd')
      assert.deepEqual(Object.keys(read.data ?? {}), [name])
      const wrapped = await server.call('update', 'sys/wrapping/wrap', data, { wrapTtlSeconds: 9 })
      const body = { token: wrapped.wrap_info?.token }
      const unwrapped = await server.call('update', 'sys/wrapping/unwrap', body)
      assert.equal(JSON.stringify(unwrapped.data), JSON.stringify(data))
      const told = await server.call('update', 'sys/capabilities-self', { paths: [name] })
      assert.deepEqual(Object.keys(told.data ?? {}), [name, 'capabilities'])
    })
  })
}

describe('CVE-2025-5999: spellings of a policy name are one name', () => {
  const spellings = [
    'root',
    'ROOT',
    'Root',
    ' root',
    'root ',
    '\troot\n',
    '\u00a0root',
    '\ufeffRoOt',
  ]
  const sudo = 'path "auth/token/create" { capabilities = ["update", "sudo"] }'
  const plain = 'path "auth/token/create" { capabilities = ["update"] }'

  for (const spelling of spellings) {
    test(`${JSON.stringify(spelling)} makes no root token of one that is not root`, async () => {
      for (const [policy, message] of [
        [sudo, 'root tokens may not be created without parent token being root'],
        [plain, 'child policies must be subset of parent'],
      ] as const) {
        const token = await tokenWith(server, policy)
        const body = { policies: ['default', spelling] }
        const refusal = await refusalOf(server.send('update', 'auth/token/create', body, { token }))
        assert.deepEqual(refusal, { status: 400, message })
      }
    })

    test(`${JSON.stringify(spelling)} of a root token is plain root`, async () => {
      const { auth } = await server.call('update', 'auth/token/create', { policies: [spelling] })
      assert.deepEqual(auth?.policies, ['root'])
    })
  }

  test('a policy is one, however it is spelled at each door', async () => {
    const policy = 'path "sys/mounts" { capabilities = ["read"] }'
    const { warnings } = await server.call('update', 'sys/policies/acl/MyPol', { policy })
    assert.deepEqual(warnings, ['policy name was converted to mypol'])
    const { data } = await server.call('read', 'sys/policies/acl/MYPOL')
    assert.equal(data?.['name'], 'mypol')
    const { auth } = await server.call('update', 'auth/token/create', { policies: ['mYpOl '] })
    assert.deepEqual(auth?.policies, ['default', 'mypol'])
    await server.send('read', 'sys/mounts', {}, { token: auth?.client_token as string })
    await server.send('delete', 'sys/policies/acl/MyPoL')
    assert.equal((await refusalOf(server.send('read', 'sys/policies/acl/mypol'))).status, 404)
  })

  test('Default, ROOT and Response-Wrapping are as protected as their plain names', async () => {
    const policy = 'path "*" { capabilities = ["sudo"] }'
    for (const [operation, path, message] of [
      ['delete', 'sys/policies/acl/Default', 'cannot delete default policy'],
      ['delete', 'sys/policy/ROOT', 'cannot delete "root" policy'],
      ['update', 'sys/policies/acl/Root', 'cannot update "root" policy'],
      ['update', 'sys/policy/Response-Wrapping', 'cannot update "response-wrapping" policy'],
    ] as const) {
      const refusal = await refusalOf(server.send(operation, path, { policy }))
      assert.deepEqual(refusal, { status: 400, message })
    }
    const wrapping = server.send('update', 'auth/token/create', {
      policies: ['Response-Wrapping '],
    })
    assert.deepEqual(await refusalOf(wrapping), {
      status: 400,
      message: 'cannot assign policy "response-wrapping"',
    })
  })

  test('blank names ask for no policy, not for those of the parent', async () => {
    for (const policies of [[''], ['', ' '], '']) {
      const { auth } = await server.call('update', 'auth/token/create', { policies })
      assert.deepEqual(auth?.policies, ['default'])
    }
  })
})

describe('protocols 3.3: parameters in policies', () => {
  const path = 'path "auth/token/create"'

  test('are compared in lower case on both sides', async () => {
    const rule = 'capabilities = ["update"] denied_parameters = { "Display_Name" = [] }'
    const token = await tokenWith(server, `${path} { ${rule} }`)
    for (const name of ['display_name', 'DISPLAY_NAME']) {
      const refused = server.send('update', 'auth/token/create', { [name]: 'x' }, { token })
      assert.equal((await refusalOf(refused)).status, 403, name)
    }
    await server.send('update', 'auth/token/create', {}, { token })
  })

  test('a denied value is found in a comma list too', async () => {
    const rule = 'capabilities = ["update"] denied_parameters = { "policies" = ["admin"] }'
    const token = await tokenWith(server, `${path} { ${rule} }`)
    for (const policies of ['admin', 'dev,admin', ['dev', 'admin'], [' admin ']]) {
      const refused = server.send('update', 'auth/token/create', { policies }, { token })
      assert.equal((await refusalOf(refused)).status, 403, JSON.stringify(policies))
    }
  })

  test('a path is judged in the form in which it is routed: the value in the body does not count', async () => {
    const rule = 'capabilities = ["update"] allowed_parameters = { "ip" = [] }'
    const token = await tokenWith(server, `path "ssh/creds/web" { ${rule} }`)
    await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { token })
    const smuggled = { ip: '10.0.0.1', role: 'other' }
    const refused = server.send('update', 'ssh/creds/web', smuggled, { token })
    assert.equal((await refusalOf(refused)).status, 403)
  })
})

describe('a name that means the same in capitals is judged by its small letters (CVE-2025-5999)', () => {
  const policy = `
    path "sys/policies/acl/*" { capabilities = ["read", "update", "delete"] }
    path "sys/policies/acl/admin" { capabilities = ["deny"] }
    path "sys/policy/*" { capabilities = ["read", "update", "delete"] }
    path "sys/policy/admin" { capabilities = ["deny"] }
    path "sys/capabilities-self" { capabilities = ["update"] }`

  for (const door of ['sys/policies/acl', 'sys/policy']) {
    for (const name of ['admin', 'ADMIN', 'Admin']) {
      test(`a denied policy can't be reached as ${door}/${name}`, async () => {
        const token = await tokenWith(server, policy)
        const text = { policy: 'path "*" { capabilities = ["sudo"] }' }
        for (const operation of ['read', 'update', 'delete'] as const) {
          const refusal = await refusalOf(
            server.send(operation, `${door}/${name}`, text, { token }),
          )
          assert.equal(refusal.status, 403)
        }
        const paths = { path: `${door}/${name}` }
        const { data } = await server.call('update', 'sys/capabilities-self', paths, { token })
        assert.deepEqual(data?.['capabilities'], ['deny'])
      })
    }
    test(`a name with blanks is no path under ${door}`, async () => {
      const refusal = await refusalOf(server.send('read', `${door}/ admin`))
      assert.equal(refusal.status, 404)
    })
  }
})

test('names that no lease, accessor or policy can have are unknown, not an error', async () => {
  const lease = await refusalOf(server.send('update', 'sys/leases/lookup', { lease_id: '\0' }))
  assert.equal(lease.status, 400)
  for (const path of ['auth/token/lookup-accessor', 'auth/token/renew-accessor']) {
    assert.equal((await refusalOf(server.send('update', path, { accessor: '\0' }))).status, 400)
  }
  const { warnings } = await server.call('update', 'auth/token/create', { policies: ['\0'] })
  assert.match(String(warnings), /does not exist/)
})

test('a token whose policy can not be has what its other policies give it', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  const token = await tokenOf(server, { policies: ['a\0b', '\u{10ffff}', 'default'] })
  await server.call('read', 'auth/token/lookup-self', {}, { token })
  assert.equal((await refusalOf(server.send('read', 'sys/mounts', {}, { token }))).status, 403)
})
