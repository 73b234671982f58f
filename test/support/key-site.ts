/** A server on disk with a mount and an admin key, and a host that it may log in to: for tests of dynamic keys. */
import assert from 'node:assert/strict'
import { secretBytes } from '../../src/random.ts'
import type { Api, ApiAnswer } from './api.ts'
import { apiOf } from './api.ts'
import { type LoginHost, startLoginHost } from './login-host.ts'
import type { RunningServer } from './server.ts'
import { eventually, initialize, makeSite } from './site.ts'

export interface KeySite extends AsyncDisposable {
  readonly host: LoginHost
  readonly folder: string
  /** Requests of root; they go to the server that runs now. */
  readonly api: Api
  server(): RunningServer
  readonly auditFile: string
  /** Starts the server again after it was killed or stopped. */
  start(): Promise<void>
  /** Writes a role for users of the host, with what the test wants otherwise. */
  writeRole(name: string, fields: Readonly<Record<string, unknown>>): Promise<void>
  creds(role: string, fields?: Readonly<Record<string, unknown>>): Promise<ApiAnswer>
  /** Waits until no lease is left. */
  noLeases(): Promise<void>
}

let hosts = 0

/** Users of the host are named after the process and so are free. */
export async function makeKeySite(options: { readonly sudoers?: string } = {}): Promise<KeySite> {
  const stack = new AsyncDisposableStack()
  const host = stack.use(await startLoginHost(`pt-adm${process.pid}-${++hosts}`, options))
  const site = stack.use(
    makeSite({
      files: { 'seal.key': secretBytes(32).toString('hex') },
      lines: [
        'seal "static" {',
        '  current_key_id = "test"',
        '  current_key = "file://FOLDER/seal.key"',
        '}',
        'allow_install_scripts = true',
      ],
    }),
  )
  let server = await site.start()
  const { root } = await initialize(server.address)
  const api: Api = (...request) => apiOf(server.address, root)(...request)
  const done = async (answer: Promise<ApiAnswer>) => {
    const { status, body } = await answer
    assert.ok(status < 300, `${status} ${JSON.stringify(body)}`)
  }
  await done(api('POST', 'sys/mounts/ssh', { type: 'ssh' }))
  await done(api('PUT', 'ssh/keys/fleet', { key: host.adminKey }))
  return {
    host,
    folder: site.folder,
    api,
    server: () => server,
    auditFile: site.auditFile,
    start: async () => {
      server = await site.start()
      await eventually(
        async () => (await api('GET', 'sys/seal-status')).body.sealed === false,
        'the server stays sealed',
      )
    },
    writeRole: (name, fields) =>
      done(
        api('PUT', `ssh/roles/${name}`, {
          key_type: 'dynamic',
          key: 'fleet',
          admin_user: host.admin,
          cidr_list: '127.0.0.1/32',
          port: host.sshd.port,
          host_keys: `127.0.0.1 ${host.hostKey()}`,
          ...fields,
        }),
      ),
    creds: (role, fields = {}) => api('PUT', `ssh/creds/${role}`, { ip: '127.0.0.1', ...fields }),
    noLeases: () =>
      eventually(
        async () => {
          const { status } = await api('LIST', 'sys/leases/lookup/ssh/creds')
          return status === 404
        },
        () => `leases are left; the server says:\n${server.output()}`,
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
