/** Logins on real hosts, as the server is told of them: by PAM's hook and by sshd's log, for all kinds of credential (protocols 5.4, hosts 1.3 and 1.12). */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type Box, type Boxes, startBoxes } from '../support/boxes.ts'
import { startServer } from '../support/server.ts'
import { eventually } from '../support/site.ts'

const HOST_BIN = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
const USER = 'deploy'
const HELPER = `${process.execPath} ${HOST_BIN} verify-otp -dev -config=/etc/postern/host.hcl`
const PAM = `auth requisite pam_exec.so quiet expose_authtok log=/var/log/helper.log ${HELPER}
auth optional pam_unix.so not_set_pass use_first_pass nodelay
account required pam_permit.so
session optional pam_exec.so quiet /bin/sh /var/lib/postern-host/session-hook
session required pam_permit.so
`
/** A /dev of the box's own, so that its syslog is its own too. */
const SYSLOG = `
mkdir /run/dev /run/dev-new
mount --rbind /dev /run/dev
mount -t tmpfs dev /run/dev-new
for name in null zero random urandom tty full; do
  touch /run/dev-new/$name
  mount --bind /run/dev/$name /run/dev-new/$name
done
mkdir /run/dev-new/pts
mount --rbind /run/dev/pts /run/dev-new/pts
ln -s pts/ptmx /run/dev-new/ptmx
mount --rbind /run/dev-new /dev
busybox syslogd -O /var/log/auth.log
`

const METHODS = ['-oPreferredAuthentications=keyboard-interactive']

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever members the answer should have.
type Shown = any

suite('logins on hosts', () => {
  const resources = new AsyncDisposableStack()
  let site: Boxes
  let box: Box
  let elsewhere: Box
  let api: Api
  let folder: string
  let key: string
  let made = 0
  const known = new Set<string>()

  before(async () => {
    folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-logins-')), (one) =>
      rmSync(one, { recursive: true }),
    )
    key = newKey('key')
    site = resources.use(await startBoxes({ names: ['web-1', 'client'] }))
    ;[box, elsewhere] = site.boxes as [Box, Box]
    const address = `-dev-listen-address=${site.address}:0`
    const server = await startServer(['-dev', '-dev-root-token-id=root', address])
    resources.defer(async () => void (await server.stop()))
    api = apiOf(server.address, 'root')
    await done('POST', 'sys/mounts/ssh', { type: 'ssh' })
    await done('POST', 'ssh/config/ca', { key_type: 'ed25519' })
    await done('POST', 'ssh/config/hosts', { host_scope: true })
    await setUp(server.address)
    const users = { default_user: USER, allowed_users: USER }
    const scope = { host_scope: 'required', allowed_hosts: '*' }
    await done('POST', 'ssh/roles/cert', {
      ...{ key_type: 'ca', allow_user_certificates: true, ...users, ...scope },
    })
    await done('POST', 'ssh/roles/otp', { key_type: 'otp', ...users, cidr_list: site.network })
    await done('POST', 'ssh/keys/fleet', { key: readFileSync(key, 'utf8') })
    await done('POST', 'ssh/roles/dynamic', {
      ...{ key_type: 'dynamic', key: 'fleet', admin_user: 'root', cidr_list: site.network },
      ...{ default_user: USER, host_keys: `${box.address} ${hostKey()}` },
    })
  })

  after(() => resources.disposeAsync())

  async function done(method: string, place: string, body?: unknown): Promise<Shown> {
    const answer = await api(method, place, body)
    assert.ok(answer.status < 300, `${place}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  function newKey(name: string): string {
    const file = path.join(folder, name)
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file])
    return file
  }

  const hostKey = () => box.read('/etc/ssh/ssh_host_ed25519_key.pub').split(' ', 2).join(' ')

  async function setUp(address: string): Promise<void> {
    await box.shell(`useradd --create-home --shell /bin/sh --password '*' ${USER}`)
    await box.shell(SYSLOG)
    const config = `vault_addr = "${address}"\nssh_mount_point = "ssh"\nallowed_roles = "*"\nlog_source = "/var/log/auth.log"\n`
    box.write('/etc/postern/host.hcl', config)
    const { data } = await done('POST', 'ssh/join-tokens', { name_pattern: box.name })
    const words = [process.execPath, HOST_BIN, 'enroll', '-dev', `-name=${box.name}`]
    const enrolled = await box.run(words, { input: data.join_token })
    assert.equal(enrolled.status, 0, enrolled.errors)
    await done('POST', `ssh/hosts/${box.name}`, { addresses: box.address })
    const userCa = (await api('GET', 'ssh/public_key?usage=scoped')).body
    box.write('/etc/ssh/postern/user_ca.pub', String(userCa))
    box.write('/etc/ssh/postern/revoked.krl', '')
    const dropIn = String((await api('GET', `ssh/hosts/${box.name}/sshd_config`)).body)
    const keys = dropIn.replace(
      'AuthorizedKeysFile none',
      'AuthorizedKeysFile .ssh/authorized_keys',
    )
    box.write('/etc/ssh/sshd_config.d/00-postern.conf', keys)
    box.write('/etc/ssh/sshd_config.d/50-site.conf', 'KbdInteractiveAuthentication yes\n')
    box.write('/root/.ssh/authorized_keys', readFileSync(`${key}.pub`), 0o600)
    box.write('/etc/pam.d/sshd', PAM)
    await startSshd()
    box.spawn([process.execPath, HOST_BIN, 'service', '-dev'])
    await eventually(() => box.exists('/var/lib/postern-host/session-hook'), 'the hook')
  }

  /** With its log in syslog. */
  async function startSshd(): Promise<void> {
    await box.shell('/usr/sbin/sshd')
    await eventually(() => box.exists('/run/sshd.pid'), 'sshd starts')
  }

  async function certificate(): Promise<{ file: string; serial: string }> {
    const public_key = readFileSync(`${key}.pub`, 'utf8')
    const { data } = await done('PUT', 'ssh/sign/cert', { public_key, host: box.name })
    const file = path.join(folder, `cert-${made++}.pub`)
    writeFileSync(file, data.signed_key)
    return { file, serial: data.serial_number }
  }

  async function logins(query = ''): Promise<Shown[]> {
    const { status, body } = await api('GET', `ssh/logins?list=true&user=${USER}&${query}`)
    return status === 404 ? [] : body.data.keys.map((id: string) => body.data.key_info[id])
  }

  /** Those that no test has seen yet, when there are so many: two of one second stand in any order. */
  async function newLogins(count: number): Promise<Shown[]> {
    const told = await loginsOnce(known.size + count)
    const unseen = told.filter(({ id }) => !known.has(id))
    for (const { id } of unseen) known.add(id)
    return unseen
  }

  async function loginsOnce(count: number, query = ''): Promise<Shown[]> {
    let found: Shown[] = []
    await eventually(
      async () => {
        found = await logins(query)
        return found.length >= count
      },
      () => `${count} logins ${query}: ${JSON.stringify(found)}\n${box.sshdLog()}`,
    )
    assert.equal(found.length, count, JSON.stringify(found))
    return found
  }

  async function letIn(login: Parameters<Box['login']>[0]): Promise<void> {
    const { status, errors } = await box.login(login)
    assert.equal(status, 0, `${errors}\n${box.sshdLog()}`)
  }

  const from = (at: Box | undefined) => (at ? { from: at } : {})

  test('one with a certificate is told with serial, token and address, and its end too', async () => {
    const { file, serial } = await certificate()
    const stay = 'while [ ! -e /run/leave ]; do sleep 0.05; done'
    const session = box.login({ user: USER, key, certificate: file, command: stay })
    const [open] = await loginsOnce(1, 'open=true')
    assert.equal(open.open, true)
    box.write('/run/leave', '')
    assert.equal((await session).status, 0)
    await eventually(async () => (await logins('open=true')).length === 0, 'the logout')
    const [login] = await newLogins(1)
    const { host, user, serial_number, credential, display_name, method, flags } = login
    assert.deepEqual(
      { host, user, serial_number, credential, display_name, method, flags, from: login.from },
      {
        ...{ host: 'web-1', user: USER, serial_number: serial, credential: 'certificate' },
        ...{ display_name: 'token', method: 'publickey', flags: [], from: site.address },
      },
    )
    assert.ok(login.port > 0)
    assert.ok(Date.parse(login.logout_at) >= Date.parse(login.login_at))
    assert.deepEqual((await done('GET', `ssh/login/${login.id}`)).data, login)
    const { data } = await done('GET', `ssh/cert/${serial}`)
    assert.equal(data.last_used, login.login_at)
    assert.equal(data.last_used_host, 'web-1')
  })

  test('two who hold one dynamic key are told apart', async () => {
    const { data } = await done('PUT', 'ssh/creds/dynamic', { ip: box.address })
    const file = path.join(folder, 'dynamic')
    writeFileSync(file, data.key, { mode: 0o600 })
    for (const at of [undefined, elsewhere]) await letIn({ user: USER, key: file, ...from(at) })
    const all = await newLogins(2)
    const [other, own] = all.sort((one, two) => (one.flags.length < two.flags.length ? 1 : -1))
    assert.deepEqual([own.flags, other.flags], [[], ['other-address']])
    assert.deepEqual([own.from, other.from], [site.address, elsewhere.address])
    assert.deepEqual([own.credential, other.credential], ['key', 'key'])
    assert.equal(own.lease_id, other.lease_id)
    assert.match(own.lease_id, /^ssh\/creds\/dynamic\//)
  })

  test('one with a password is told with its lease', async () => {
    const { lease_id, data } = await done('PUT', 'ssh/creds/otp', { ip: box.address })
    elsewhere.write('/root/ask', `#!/bin/sh\necho ${data.key}\n`, 0o755)
    const words = ['ssh', '-F', 'none', '-oStrictHostKeyChecking=no', ...METHODS]
    const options = { env: { SSH_ASKPASS: '/root/ask', SSH_ASKPASS_REQUIRE: 'force' } }
    const { status, errors } = await elsewhere.run(
      [...words, `${USER}@${box.address}`, 'id -un'],
      options,
    )
    assert.equal(status, 0, `${errors}\n${box.sshdLog()}`)
    const [login] = await newLogins(1)
    const { credential, method, role } = login
    assert.deepEqual(
      [login.lease_id, credential, method, role, login.flags],
      [lease_id, 'otp', 'keyboard-interactive', 'otp', ['other-address']],
    )
  })

  test('one with a key that nobody issued is flagged', async () => {
    const stray = newKey('stray')
    box.write(`/home/${USER}/.ssh/authorized_keys`, readFileSync(`${stray}.pub`), 0o644)
    await letIn({ user: USER, key: stray })
    await newLogins(1)
    const [login, ...others] = await logins('flag=unknown-credential')
    assert.deepEqual(others, [])
    assert.deepEqual([login.credential, login.from], ['key', site.address])
  })

  test('CVE-2024-45337: a key or certificate that is only offered makes no login', async () => {
    const { file } = await certificate()
    const other = newKey('offered')
    // sshd is asked about a key that it takes, and about a certificate; neither is proved.
    copyFileSync(path.join(folder, 'stray.pub'), `${other}.pub`)
    const before = box.sshdLog().length
    const offered = await box.login({ user: USER, key: other })
    const certified = await box.login({ user: USER, key: other, certificate: file })
    assert.deepEqual([offered.status, certified.status], [255, 255])
    assert.match(box.sshdLog().slice(before), /Accepted certificate ID|Postponed publickey/)
    await letIn({ user: USER, key: path.join(folder, 'stray') })
    await newLogins(1)
  })

  test('those of a time without the server arrive later, in their order', async () => {
    await box.shell(`ip route add blackhole ${site.address}`)
    const files = [await certificate(), await certificate(), await certificate()]
    for (const { file } of files) {
      await letIn({ user: USER, key, certificate: file, ...from(elsewhere) })
    }
    assert.equal((await logins()).length, known.size)
    await box.shell(`ip route del blackhole ${site.address}`)
    const told = await newLogins(3)
    const inOrder = told.sort((one, two) => one.sequence - two.sequence)
    assert.deepEqual(
      inOrder.map(({ serial_number }) => serial_number),
      files.map(({ serial }) => serial),
    )
    assert.deepEqual(await logins('flag=gap'), [])
  })

  test('without PAM the log tells', async () => {
    await box.shell('kill "$(cat /run/sshd.pid)"')
    await eventually(() => !box.exists('/run/sshd.pid'), 'sshd ends')
    const config = box.read('/etc/ssh/sshd_config')
    box.write('/etc/ssh/sshd_config', `UsePAM no\n${config}`)
    await startSshd()
    // Without PAM an account with a password of * is open to keys as well.
    const { file, serial } = await certificate()
    await letIn({ user: USER, key, certificate: file })
    const [login] = await loginsOnce(1, `serial=${serial}`)
    assert.deepEqual([login.flags, login.from], [[], site.address])
    await eventually(async () => (await logins('open=true')).length === 0, 'its end')
  })
})
