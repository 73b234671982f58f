/** Plain ssh, scp, rsync and git with the block that `postern ssh-config` prints (protocols 5.7). */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { ensurePackages } from '../../tools/debian-packages.ts'
import { startFakeServer } from '../client/fake-server.ts'
import { type SshHosts, startSshHosts } from '../support/ssh-hosts.ts'

interface Run {
  readonly status: number
  readonly output: string
  readonly errors: string
}

suite('plain ssh with the block of ssh-config', () => {
  let hosts: SshHosts
  let config: string
  let folder: string

  before(async () => {
    assert.ok(ensurePackages(['rsync', 'git']))
    hosts = await startSshHosts()
    config = path.join(hosts.home, 'config')
    folder = path.join(hosts.home, 'certificates')
    await writeConfig(hosts.server.address)
  })
  beforeEach(() => {
    hosts.requests()
  })
  after(() => hosts[Symbol.asyncDispose]())

  const certificate = () => path.join(folder, `${hosts.user}-cert.pub`)

  async function writeConfig(address: string, ...flags: string[]): Promise<void> {
    const { status, output, errors } = await hosts.run([
      'ssh-config',
      `-address=${address}`,
      '-role=web',
      `-folder=${folder}`,
      ...flags,
    ])
    assert.equal(status, 0, errors)
    const box = [
      'Host box',
      '  HostName 127.0.0.1',
      `  Port ${hosts.sshd.port}`,
      `  User ${hosts.user}`,
      'Host *',
      '  StrictHostKeyChecking no',
      '  UserKnownHostsFile /dev/null',
      '  BatchMode yes',
    ]
    writeFileSync(config, `${box.join('\n')}\n${output}`)
  }

  /** Has the block name another server. */
  async function pointTo(address: string): Promise<void> {
    const text = readFileSync(config, 'utf8')
    writeFileSync(config, text.replaceAll(hosts.server.address, address))
  }

  function run(program: string, ...args: string[]): Promise<Run> {
    const env = {
      ...process.env,
      ...hosts.env,
      GIT_SSH_COMMAND: `ssh -F ${config}`,
      SSH_AUTH_SOCK: '',
    }
    return new Promise((resolve) => {
      const child = execFile(program, args, { env, timeout: 30_000 }, (error, output, errors) => {
        resolve({ status: error ? Number(error.code ?? 1) : 0, output, errors })
      })
      child.stdin?.end()
    })
  }

  const ssh = (...words: string[]) => run('ssh', '-F', config, ...words)

  test('logs in with a certificate fetched once, and goes on offline while it is good', async () => {
    const first = await ssh('box', 'id -un')
    assert.equal(first.status, 0, first.errors)
    assert.equal(first.output, `${hosts.user}\n`)
    assert.deepEqual(hosts.requests(), ['update ssh/sign/web'])
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    for (const name of readdirSync(folder)) {
      assert.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600, name)
    }
    await pointTo('http://127.0.0.1:1')
    const second = await ssh('box', 'id -un')
    assert.equal(second.status, 0, second.errors)
    assert.equal(second.errors, first.errors)
    await writeConfig(hosts.server.address)
  })

  test('asks for what the sessions of plain ssh need and the role allows', () => {
    const shown = execFileSync('ssh-keygen', ['-Lf', certificate()], { encoding: 'utf8' })
    assert.match(shown, /Extensions: \n\s+permit-port-forwarding\n\s+permit-pty\n/)
    assert.match(shown, new RegExp(`Principals: \\n\\s+${hosts.user}\\n`))
  })

  test('copies by scp, rsync and git', async () => {
    const place = `/tmp/${hosts.user}`
    assert.equal(
      (await ssh('box', `mkdir -p ${place} && git init -q --bare ${place}/repo`)).status,
      0,
    )
    const file = path.join(hosts.home, 'file')
    writeFileSync(file, 'content')
    const copied = await run('scp', '-F', config, file, `box:${place}/by-scp`)
    assert.equal(copied.status, 0, copied.errors)
    const synced = await run('rsync', '-e', `ssh -F ${config}`, file, `box:${place}/by-rsync`)
    assert.equal(synced.status, 0, synced.errors)
    const { output } = await ssh('box', `cat ${place}/by-scp ${place}/by-rsync`)
    assert.equal(output, 'contentcontent')
    const cloned = await run(
      'git',
      'clone',
      `ssh://box${place}/repo`,
      path.join(hosts.home, 'clone'),
    )
    assert.equal(cloned.status, 0, cloned.errors)
    assert.equal((await ssh('box', `rm -rf ${place}`)).status, 0)
    assert.deepEqual(hosts.requests(), [])
  })

  test('of 20 connections at once, one asks the server', async () => {
    rmSync(certificate())
    const runs = await Promise.all(Array.from({ length: 20 }, () => ssh('box', 'id -un')))
    for (const { status, output, errors } of runs) {
      assert.equal(status, 0, errors)
      assert.equal(output, `${hosts.user}\n`)
    }
    assert.deepEqual(hosts.requests(), ['update ssh/sign/web'])
    assert.deepEqual(
      readdirSync(folder).sort(),
      ['', '-cert.pub', '.pub'].map((end) => hosts.user + end),
    )
  })

  test('fetches a new certificate when less than a minute is left', async () => {
    await hosts.api('PUT', 'ssh/roles/short', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: hosts.user,
      default_extensions: { 'permit-pty': '' },
    })
    const sign = async (ttl: string) => {
      const public_key = readFileSync(path.join(folder, `${hosts.user}.pub`), 'utf8')
      const terms = { public_key, ttl, valid_principals: hosts.user }
      const { body } = await hosts.api('PUT', 'ssh/sign/short', terms)
      writeFileSync(certificate(), body.data.signed_key)
      hosts.requests()
    }
    await sign('55s')
    assert.equal((await ssh('box', 'true')).status, 0)
    assert.deepEqual(hosts.requests(), ['update ssh/sign/web'])
    await sign('90s')
    assert.equal((await ssh('box', 'true')).status, 0)
    assert.deepEqual(hosts.requests(), [])
    // Nobody answers, but what is there is good for some seconds yet.
    await sign('50s')
    await pointTo('http://127.0.0.1:1')
    const offline = await ssh('box', 'true')
    assert.equal(offline.status, 0, offline.errors)
    assert.match(offline.errors, /warning: the certificate is about to expire/)
    await writeConfig(hosts.server.address)
  })

  test('says why when there is no certificate to be had, and lets ssh go on without', async () => {
    rmSync(certificate())
    await pointTo('http://127.0.0.1:1')
    const { status, errors } = await ssh('box', 'true')
    assert.equal(status, 255)
    assert.match(errors, /Error signing the key with ssh\/sign\/web[\s\S]*hint: nobody answers at/)
    assert.match(errors, /Permission denied/)
    await writeConfig(hosts.server.address)
  })

  test('takes over from a run that died in the middle', async () => {
    const dead = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim()
    writeFileSync(path.join(folder, `${hosts.user}.lock`), dead)
    const { status, errors } = await ssh('box', 'true')
    assert.equal(status, 0, errors)
    assert.deepEqual(hosts.requests(), ['update ssh/sign/web'])
  })

  test('with patterns serves these hosts only', async () => {
    await writeConfig(hosts.server.address, 'other*', '*.example.org')
    rmSync(certificate())
    hosts.requests()
    assert.equal((await ssh('box', 'true')).status, 255)
    assert.deepEqual(hosts.requests(), [])
    await writeConfig(hosts.server.address, 'b?x')
    assert.equal((await ssh('box', 'true')).status, 0)
    await writeConfig(hosts.server.address)
  })

  test('blocks whose certificates differ do not share a folder', async () => {
    const key = path.join(hosts.home, 'own')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const blocks = [
      [],
      ['-valid-principals=ops'],
      ['-valid-principals=dev'],
      [`-private-key-path=${key}`],
      ['-group=web'],
    ]
    const runs = await Promise.all(
      blocks.map((flags) => hosts.run(['ssh-config', '-role=web', ...flags])),
    )
    const files = runs.map(({ output, errors }) => {
      const [, file] = /^ {2}CertificateFile (.+)$/m.exec(output) ?? []
      assert.ok(file, errors)
      return file
    })
    assert.equal(new Set(files).size, blocks.length, files.join('\n'))
  })

  test('a tilde that the shell left is the home everywhere in the block', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${hosts.home}/tilde`])
    const flags = ['-role=web', '-private-key-path=~/tilde', '-folder=~/kept']
    const { output, errors } = await hosts.run(['ssh-config', ...flags])
    assert.match(output, new RegExp(` IdentityFile "${hosts.home}/tilde"`), errors)
    assert.match(output, new RegExp(` '-private-key-path=${hosts.home}/tilde'`))
    assert.match(output, new RegExp(` '-folder=${hosts.home}/kept'`))
  })

  test('keeps no token in the block, and refuses what ssh has no way to write', async () => {
    const { output } = await hosts.run(['ssh-config', '-role=web'], { VAULT_TOKEN: 'hvs.SECRET' })
    assert.match(output, /^Match originalhost /m)
    assert.doesNotMatch(output, /SECRET/)
    for (const flags of [
      ["-role=a'b"],
      ['-role=a"b'],
      ['-role=web', '-folder=/tmp/a"b'],
      ['-role=web', "x'y"],
    ]) {
      const refused = await hosts.run(['ssh-config', ...flags])
      assert.equal(refused.status, 1, flags.join(' '))
      assert.equal(refused.output, '')
    }
  })

  test('protocols 5.7: hostile git clone ssh://… URLs run nothing', async () => {
    const mark = path.join(hosts.home, 'pwned')
    const clone = path.join(hosts.home, 'hostile')
    for (const url of [
      `ssh://-oProxyCommand=touch%20${mark}/x`,
      `ssh://$(touch\${IFS}${mark})/x`,
      `ssh://x'$(touch\${IFS}${mark})'/x`,
      `ssh://x';touch\${IFS}${mark};'/x`,
      `ssh://x%27;touch%20${mark};%27@box/x`,
      `ssh://'$(touch\${IFS}${mark})'@box/x`,
      `ssh://%60touch%20${mark}%60@box/x`,
      `ssh://-oProxyCommand=touch%20${mark}@box/x`,
      `ssh://box:22;touch%20${mark}/x`,
      `'$(touch ${mark})'@box:x`,
      `x\\';touch ${mark};\\'@box:x`,
    ]) {
      const { status } = await run('git', 'clone', url, clone)
      assert.notEqual(status, 0, url)
      assert.throws(() => statSync(mark), /ENOENT/, url)
    }
  })

  test('protocols 5.7: names that come from the configuration run nothing either', async () => {
    const mark = path.join(hosts.home, 'pwned')
    const block = readFileSync(config, 'utf8')
    for (const user of [`x'; touch ${mark}; '`, `$(touch ${mark})`, `-x'; touch ${mark} #`, '!x']) {
      writeFileSync(config, `User "${user}"\n${block}`)
      const { status } = await ssh('-p', `${hosts.sshd.port}`, '127.0.0.1', 'true')
      assert.equal(status, 255)
      assert.throws(() => statSync(mark), /ENOENT/, user)
    }
    writeFileSync(config, block)
    assert.deepEqual(hosts.requests(), [])
  })

  test('a server that never answers does not hold many connections for long', async () => {
    await using silent = await startFakeServer(() => ({ hangs: true }))
    rmSync(certificate(), { force: true })
    await pointTo(silent.address)
    const words = ['VAULT_CLIENT_TIMEOUT=2', 'ssh', '-F', config, 'box', 'true']
    const runs = await Promise.all(Array.from({ length: 5 }, () => run('env', ...words)))
    assert.deepEqual(
      runs.map(({ status }) => status),
      [255, 255, 255, 255, 255],
    )
    assert.equal(silent.seen.length, 1)
  })
})
