/** Certificates of hosts: a client that trusts the CA alone knows a real sshd by its name, and no other. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type RunningServer, startDevServer } from '../support/server.ts'
import { logInWithKey, makeUser, type PrivateSshd, startSshd } from '../support/sshd.ts'

const USER = `ptest-h${process.pid}`
const NAME = 'web-1.example.org'

suite('a host certificate', () => {
  const resources = new AsyncDisposableStack()
  let folder: string
  let server: RunningServer
  let api: Api
  let hostCa: string

  before(async () => {
    resources.use(makeUser(USER))
    folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-host-')), (made) =>
      rmSync(made, { recursive: true }),
    )
    server = resources.adopt(await startDevServer(), async (running) => void (await running.stop()))
    api = apiOf(server.address, 'root')
    for (const mount of ['hosts', 'users']) {
      await api('POST', `sys/mounts/${mount}`, { type: 'ssh' })
      await api('POST', `${mount}/config/ca`, { key_type: 'ed25519' })
    }
    hostCa = (await api('GET', 'hosts/public_key')).body.trim()
    await written('hosts/roles/web', {
      key_type: 'ca',
      allow_host_certificates: true,
      allowed_domains: 'example.org',
      allow_subdomains: true,
    })
    await written('users/roles/me', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: USER,
    })
    for (const key of ['host_key', 'user_key']) {
      const args = ['-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', file(key)]
      execFileSync('ssh-keygen', args)
    }
    writeFileSync(file('known_hosts'), `@cert-authority *.example.org ${hostCa}\n`)
    writeFileSync(
      file('user_key-cert.pub'),
      await signed('users/sign/me', { key: 'user_key', valid_principals: USER }),
    )
  })

  after(() => resources.disposeAsync())

  const file = (name: string): string => path.join(folder, name)

  async function written(place: string, data: object): Promise<void> {
    const { status, body } = await api('PUT', place, data)
    assert.equal(status, 204, JSON.stringify(body))
  }

  async function signed(place: string, { key, ...data }: Record<string, string>) {
    const publicKey = readFileSync(file(`${key}.pub`), 'utf8')
    const { status, body } = await api('PUT', place, { ...data, public_key: publicKey })
    assert.equal(status, 200, JSON.stringify(body))
    return body.data.signed_key as string
  }

  const hostCertificate = (name: string) =>
    signed('hosts/sign/web', { key: 'host_key', cert_type: 'host', valid_principals: name })

  async function startHost(certificate: string): Promise<PrivateSshd> {
    const userCa: string = (await api('GET', 'users/public_key')).body
    return startSshd({
      settings: [
        'HostCertificate FOLDER/host_key-cert.pub',
        'TrustedUserCAKeys FOLDER/user_ca.pub',
      ],
      files: {
        host_key: readFileSync(file('host_key'), 'utf8'),
        'host_key.pub': readFileSync(file('host_key.pub'), 'utf8'),
        'host_key-cert.pub': certificate,
        'user_ca.pub': userCa,
      },
    })
  }

  const logIn = (sshd: PrivateSshd, knownHosts = 'known_hosts') =>
    logInWithKey(sshd, USER, {
      key: file('user_key'),
      certificate: file('user_key-cert.pub'),
      knownHosts: { file: file(knownHosts), name: NAME },
    })

  test('of the right name lets a strict client log in, who knows the CA alone', async () => {
    const certificate = await hostCertificate(NAME)
    assert.match(certificate, /^ssh-ed25519-cert-v01@openssh\.com /)
    writeFileSync(file('shown-cert.pub'), certificate)
    const shown = execFileSync('ssh-keygen', ['-Lf', file('shown-cert.pub')], { encoding: 'utf8' })
    assert.match(shown, /Type: ssh-ed25519-cert-v01@openssh\.com host certificate/)
    assert.match(shown, /Principals: \n\s+web-1\.example\.org\n/)
    await using sshd = await startHost(certificate)
    const login = await logIn(sshd)
    assert.equal(login.status, 0, `${login.errors}\n${sshd.log()}`)
    assert.equal(login.output.trim(), USER)
  })

  test('of another name is refused by the client, before it authenticates', async () => {
    await using sshd = await startHost(await hostCertificate('web-2.example.org'))
    const login = await logIn(sshd)
    assert.equal(login.status, 255)
    assert.match(login.errors, /name is not a listed principal/)
    assert.doesNotMatch(sshd.log(), /Accepted/)
  })

  test('of a CA that the client does not know is refused', async () => {
    const userCa: string = (await api('GET', 'users/public_key')).body
    writeFileSync(file('other_hosts'), `@cert-authority *.example.org ${userCa}`)
    await using sshd = await startHost(await hostCertificate(NAME))
    const login = await logIn(sshd, 'other_hosts')
    assert.equal(login.status, 255)
    assert.doesNotMatch(sshd.log(), /Accepted/)
  })

  test('of a name outside the domains of the role is not signed', async () => {
    for (const name of ['example.org', 'web-1.example.com', 'web-1.example.org.evil.test']) {
      const answer = await api('PUT', 'hosts/sign/web', {
        cert_type: 'host',
        valid_principals: name,
        public_key: readFileSync(file('host_key.pub'), 'utf8'),
      })
      assert.equal(answer.status, 400, name)
    }
  })

  test('does not open a host as a user', async () => {
    await using sshd = await startHost(await hostCertificate(NAME))
    // Signed by the CA that users have, for the user's own name, yet as a host.
    await written('users/roles/host', {
      key_type: 'ca',
      allow_host_certificates: true,
      allowed_domains: USER,
      allow_bare_domains: true,
    })
    const terms = { key: 'user_key', cert_type: 'host', valid_principals: USER }
    writeFileSync(file('host-as-user-cert.pub'), await signed('users/sign/host', terms))
    const login = await logInWithKey(sshd, USER, {
      key: file('user_key'),
      certificate: file('host-as-user-cert.pub'),
    })
    assert.equal(login.status, 255)
    assert.doesNotMatch(sshd.log(), /Accepted/)
  })
})
