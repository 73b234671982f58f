/** Which role `postern ssh` takes: seen from the requests that it makes. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Session } from '../../../src/cli/session.ts'
import { wantedExtensions } from '../../../src/cli/ssh/key/certificate.ts'
import { chooseRole, type Mode } from '../../../src/cli/ssh/role.ts'
import { type FakeAnswer, startFakeServer } from '../../client/fake-server.ts'

interface World {
  readonly roles?: Readonly<Record<string, Mode>>
  /** Names that `lookup` gives. */
  readonly lookup?: readonly string[]
  readonly exactPaths?: readonly string[]
  /** Paths that the token may not write to. */
  readonly denied?: readonly string[]
}

async function chosen(world: World, role?: string, mode?: Mode) {
  const { roles, lookup, exactPaths, denied = [] } = world
  await using server = await startFakeServer(({ url, body }): FakeAnswer => {
    const data = (value: object | undefined): FakeAnswer =>
      value ? { body: { data: value } } : { status: 403, body: { errors: ['permission denied'] } }
    const entries = Object.entries(roles ?? {})
    if (url === '/v1/ssh/roles?list=true') {
      const info = entries.map(([name, key_type]) => [name, { key_type }])
      return data(roles && { keys: Object.keys(roles), key_info: Object.fromEntries(info) })
    }
    if (url.startsWith('/v1/ssh/roles/')) {
      const found = entries.find(([name]) => url.endsWith(`/${name}`))
      return data(found && { key_type: found[1] })
    }
    if (url === '/v1/ssh/lookup') return data(lookup && { roles: lookup })
    if (url === '/v1/sys/internal/ui/resultant-acl') {
      const paths = exactPaths?.map((name) => [name, { capabilities: ['update'] }])
      return data(paths && { exact_paths: Object.fromEntries(paths) })
    }
    const paths: string[] = JSON.parse(body).paths
    const rows = paths.map((one) => [one, denied.includes(one) ? ['deny'] : ['update']])
    return data(Object.fromEntries(rows))
  })
  const terminal = {
    environment: { VAULT_ADDR: server.address, VAULT_TOKEN: 't' },
    home: '/nonexistent',
    isInteractive: false,
    outputIsTerminal: false,
    write: () => {},
    writeError: () => {},
    readInput: async () => '',
    readHidden: async () => '',
  }
  const input = { args: [], text: () => undefined, bool: () => undefined, list: () => [] }
  const session = await Session.open(terminal, input)
  const wish = { mount: 'ssh', role, mode, address: async () => '10.0.0.7' }
  const choice = await chooseRole(session, wish)
  return { role: choice.role, mode: choice.mode, requests: server.seen.length }
}

suite('the role of a session', () => {
  const all = { cert: 'ca', pass: 'otp', key: 'dynamic' } as const

  test('is the one that is told, without a request when the mode is told too', async () => {
    assert.deepEqual(await chosen({}, 'web', 'otp'), { role: 'web', mode: 'otp', requests: 0 })
  })

  test('tells the mode', async () => {
    assert.deepEqual(await chosen({ roles: all }, 'key'), {
      role: 'key',
      mode: 'dynamic',
      requests: 1,
    })
  })

  test('has its mode from what the token may do where it can not be read', async () => {
    assert.equal((await chosen({}, 'web')).mode, 'ca')
    assert.equal((await chosen({ denied: ['ssh/sign/web'] }, 'web')).mode, 'creds')
  })

  test('is for a certificate before a password before a key', async () => {
    const world = { roles: all, lookup: ['pass', 'key'] }
    assert.equal((await chosen(world)).role, 'cert')
    assert.equal((await chosen({ ...world, denied: ['ssh/sign/cert'] })).role, 'pass')
    const denied = ['ssh/sign/cert', 'ssh/creds/pass']
    assert.equal((await chosen({ ...world, denied })).role, 'key')
    assert.equal((await chosen(world, undefined, 'dynamic')).role, 'key')
  })

  test('for creds is one of those that lookup gives for the address', async () => {
    assert.equal((await chosen({ roles: { ...all, cert: 'otp' }, lookup: ['pass'] })).role, 'pass')
  })

  test('W2015: is the only one of lookup where nothing can be listed', async () => {
    assert.deepEqual(await chosen({ lookup: ['only'] }), {
      role: 'only',
      mode: 'creds',
      requests: 4,
    })
  })

  test('is found in the policies of the token', async () => {
    const exactPaths = ['ssh/sign/web', 'ssh/roles/other', 'sshx/sign/no', 'ssh/sign/a/b']
    assert.equal((await chosen({ exactPaths })).role, 'web')
    const creds = ['ssh/creds/here', 'ssh/creds/there']
    assert.equal((await chosen({ exactPaths: creds, lookup: ['here'] })).role, 'here')
  })

  test('has to be named where none or several of a kind fit', async () => {
    await assert.rejects(chosen({}), /none of ssh\/ that this token may use fits/)
    await assert.rejects(chosen({ lookup: ['a', 'b'] }), /several fit: a, b/)
    await assert.rejects(chosen({ roles: { ...all, second: 'ca' } }), /several fit/)
  })
})

suite('extensions of a certificate', () => {
  const terms = { allowed: ['permit-pty', 'permit-port-forwarding'], defaults: ['permit-pty'] }

  test('are the defaults of the role where these do', () => {
    assert.equal(wantedExtensions([], terms), undefined)
    assert.equal(wantedExtensions(['permit-pty'], terms), undefined)
    assert.equal(wantedExtensions(['permit-agent-forwarding'], terms), undefined)
  })

  test('are what is needed besides, as far as it is allowed', () => {
    assert.deepEqual(wantedExtensions(['permit-port-forwarding', 'permit-X11-forwarding'], terms), [
      'permit-pty',
      'permit-port-forwarding',
    ])
    assert.deepEqual(wantedExtensions(['permit-pty'], { allowed: ['*'], defaults: [] }), [
      'permit-pty',
    ])
  })
})
