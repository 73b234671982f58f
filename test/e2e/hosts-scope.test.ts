/** W2017's role on three boxes: who may log in to this one, and not to that one (protocols 5.1, 5.3). */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type Box, type Boxes, startBoxes } from '../support/boxes.ts'
import { type CliRun, runPostern } from '../support/cli.ts'
import { startDevServer } from '../support/server.ts'

const USER = 'ec2-user'
const DROP_IN = '/etc/ssh/sshd_config.d/00-postern.conf'
const CA_FILE = '/etc/ssh/postern/user_ca.pub'
const HOSTS: Readonly<Record<string, object>> = {
  'web-1': { groups: 'web', tags: 'env=prod' },
  'web-2': { groups: 'web', tags: 'env=test' },
  'db-1': { groups: 'db', tags: 'env=prod' },
}

suite('certificates for chosen boxes', () => {
  const resources = new AsyncDisposableStack()
  const boxes = new Map<string, Box>()
  let site: Boxes
  let api: Api
  let address: string
  let folder: string
  let key: string
  let certificates = 0

  before(async () => {
    folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-scope-')), (made) =>
      rmSync(made, { recursive: true }),
    )
    key = path.join(folder, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const server = await startDevServer()
    resources.defer(async () => void (await server.stop()))
    address = server.address
    api = apiOf(address, 'root')
    await done('POST', 'sys/mounts/ssh', { type: 'ssh' })
    await done('POST', 'ssh/config/ca', { key_type: 'ed25519' })
    await done('POST', 'ssh/config/hosts', { host_scope: true })
    site = resources.use(await startBoxes({ names: [...Object.keys(HOSTS), 'plain'] }))
    await Promise.all(site.boxes.map(setUp))
    await role('bare', {})
    await role('scoped', { host_scope: 'required', allowed_hosts: '*', allowed_groups: '*' })
  })

  after(() => resources.disposeAsync())

  async function done(method: string, place: string, body: unknown): Promise<unknown> {
    const answer = await api(method, place, body)
    assert.ok(answer.status < 300, `${place}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  const text = async (place: string) => String((await api('GET', `ssh/${place}`)).body)

  /** As level 0 of docs/hosts.md: the CA, an empty KRL, and the drop-in that the server renders. */
  async function setUp(box: Box): Promise<void> {
    boxes.set(box.name, box)
    await box.shell(`useradd --create-home --shell /bin/sh --password '*' ${USER}`)
    const fields = HOSTS[box.name]
    const scopedKeys = await text('public_key?usage=scoped')
    if (fields) {
      await done('POST', `ssh/hosts/${box.name}`, { addresses: box.address, ...fields })
      box.write(CA_FILE, scopedKeys)
      box.write('/etc/ssh/postern/revoked.krl', '')
      box.write(DROP_IN, await text(`hosts/${box.name}/sshd_config`))
    } else {
      // Nobody set this one up for scopes, yet it trusts everything.
      box.write(CA_FILE, `${await text('public_key')}\n${scopedKeys}`)
      box.write(DROP_IN, `TrustedUserCAKeys ${CA_FILE}\n`)
    }
    await box.startSshd()
  }

  async function role(name: string, fields: object): Promise<void> {
    const users = { allow_user_certificates: true, allowed_users: '*', default_user: USER }
    const extensions = { default_extensions: { 'permit-pty': '' } }
    await done('POST', `ssh/roles/${name}`, { key_type: 'ca', ...users, ...extensions, ...fields })
  }

  /** File of a new certificate for the key. */
  async function certificate(name: string, target: object): Promise<string> {
    const public_key = readFileSync(`${key}.pub`, 'utf8')
    const { body } = await api('PUT', `ssh/sign/${name}`, { public_key, ...target })
    assert.ok(body.data, JSON.stringify(body))
    const file = path.join(folder, `cert-${certificates++}.pub`)
    writeFileSync(file, body.data.signed_key)
    return file
  }

  /** The boxes that let the certificate in. */
  async function opened(file: string): Promise<string[]> {
    const tries = [...boxes].map(async ([name, box]) => {
      const { status, output, errors } = await box.login({ user: USER, key, certificate: file })
      if (status === 0) assert.equal(output, `${USER}\n`)
      else assert.match(errors, /Permission denied/)
      return status === 0 ? [name] : []
    })
    return (await Promise.all(tries)).flat().sort()
  }

  test('one for web-1 logs in there and nowhere else', async () => {
    assert.deepEqual(await opened(await certificate('scoped', { host: 'web-1' })), ['web-1'])
    const byAddress = { host: boxes.get('db-1')?.address }
    assert.deepEqual(await opened(await certificate('scoped', byAddress)), ['db-1'])
  })

  test('one for a group logs in to its boxes, one for a tag to those that have it', async () => {
    const group = await certificate('scoped', { group: 'web' })
    assert.deepEqual(await opened(group), ['web-1', 'web-2'])
    await role('tags', { host_scope: 'required', allowed_tags: 'env=prod' })
    const tag = await certificate('tags', { tag: 'env=prod' })
    assert.deepEqual(await opened(tag), ['db-1', 'web-1'])
  })

  test('one for another account of the box does not open this one', async () => {
    const root = await certificate('scoped', { host: 'web-1', valid_principals: 'root' })
    assert.deepEqual(await opened(root), [])
  })

  test('a bare one is refused on every scoped box, also where its CA is trusted', async () => {
    const bare = await certificate('bare', {})
    assert.deepEqual(await opened(bare), ['plain'])
    const web = boxes.get('web-1') as Box
    const before = web.read(CA_FILE)
    web.write(CA_FILE, `${before}${await text('public_key')}\n`)
    assert.deepEqual(await opened(bare), ['plain'])
    assert.match(web.sshdLog(), /Certificate does not contain an authorized principal/)
    web.write(CA_FILE, before)
  })

  test('a scoped one is refused on a box that nobody set up, though that trusts its CA', async () => {
    const targets = [{ host: 'web-1' }, { group: 'web' }, { host: 'web-1,web-2,db-1' }]
    for (const target of targets) {
      const names = await opened(await certificate('scoped', target))
      assert.ok(names.length > 0 && !names.includes('plain'), names.join(' '))
    }
  })

  test('a host that was disabled gets no more of them', async () => {
    await done('POST', 'ssh/hosts/web-2', { state: 'disabled' })
    const public_key = readFileSync(`${key}.pub`, 'utf8')
    const refused = await api('PUT', 'ssh/sign/scoped', { public_key, host: 'web-2' })
    assert.equal(refused.status, 400)
    assert.deepEqual(refused.body.errors, ['host web-2 is disabled'])
    await done('POST', 'ssh/hosts/web-2', { state: 'active' })
  })

  suite('by the command line', () => {
    const run = (...args: string[]): Promise<CliRun> =>
      runPostern(args, { VAULT_ADDR: address, VAULT_TOKEN: 'root', HOME: folder })

    /** An ssh_config in which the boxes have their names, with what comes behind it. */
    function config(more = ''): string {
      const file = path.join(folder, 'config')
      const names = [...boxes].map(([name, box]) => `Host ${name}\n  HostName ${box.address}\n`)
      const all =
        'Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  BatchMode yes\n'
      writeFileSync(file, `${names.join('')}${all}${more}`)
      return file
    }

    test('postern ssh asks for the box that it logs in to', async () => {
      const ssh = (box: string, ...flags: string[]) =>
        run(
          'ssh',
          '-role=scoped',
          '-mode=ca',
          ...flags,
          `${USER}@${box}`,
          '-F',
          config(),
          'hostname',
        )
      const one = await ssh('web-1')
      assert.deepEqual([one.status, one.output], [0, 'web-1\n'], one.errors)
      const group = await ssh('web-2', '-group=web')
      assert.deepEqual([group.status, group.output], [0, 'web-2\n'], group.errors)
      const other = await ssh('web-2', '-host=web-1')
      assert.equal(other.status, 255)
      assert.match(other.errors, /Permission denied/)
      const unknown = await ssh('plain')
      assert.equal(unknown.status, 2)
      assert.match(unknown.errors, /unknown host: 198\./)
    })

    test('plain ssh has a certificate for each box, and offers none to another', async () => {
      const store = path.join(folder, 'store')
      const block = await run('ssh-config', '-role=scoped', `-folder=${store}`)
      assert.equal(block.status, 0, block.errors)
      const file = config(block.output)
      const ssh = (box: string) =>
        new Promise<string>((resolve) => {
          const env = { ...process.env, VAULT_TOKEN: 'root', HOME: folder }
          const words = ['-v', '-F', file, `${USER}@${box}`, 'hostname']
          execFile('ssh', words, { env }, (_, output, errors) => resolve(output + errors))
        })
      for (const name of ['web-1', 'web-2', 'web-1']) {
        const shown = await ssh(name)
        assert.match(shown, new RegExp(`^${name}$`, 'm'))
        const offered = [...shown.matchAll(/Offering public key: (\S+)/g)].map(
          ([, one = '']) => one,
        )
        const own = path.join(store, `@${boxes.get(name)?.address}`, USER)
        assert.ok(offered.length > 0 && offered.every((one) => one.startsWith(own)), shown)
      }
      const folders = readdirSync(store).sort()
      const addresses = ['web-1', 'web-2'].map((name) => `@${boxes.get(name)?.address}`)
      assert.deepEqual(folders, addresses.sort())
      for (const name of addresses) {
        const shown = execFileSync('ssh-keygen', [
          '-Lf',
          path.join(store, name, `${USER}-cert.pub`),
        ])
        const id = [...boxes].find(([, box]) => name === `@${box.address}`)?.[0]
        assert.match(
          shown.toString(),
          new RegExp(`Principals: \\n\\s+${USER}@h\\.${id}\\n\\s+Critical`),
        )
      }
    })

    test('protocols 5.7: what HostName makes of a name runs nothing', async () => {
      const block = await run('ssh-config', '-role=scoped', `-folder=${folder}/hostile`)
      const mark = path.join(folder, 'pwned')
      const env = { ...process.env, VAULT_TOKEN: 'root', HOME: folder }
      for (const name of [
        `x'; touch ${mark}; '`,
        `x'$(touch ${mark})'`,
        `$(touch ${mark})`,
        `\`touch ${mark}\``,
        `-oProxyCommand=touch ${mark}`,
        `%n'; touch ${mark} #`,
      ]) {
        const file = config(`Host evil\n  HostName "${name}"\n${block.output}`)
        const words = ['-F', file, `${USER}@evil`, 'true']
        const status = await new Promise((resolve) =>
          execFile('ssh', words, { env }, (error) => resolve(error?.code)),
        )
        assert.equal(status, 255, name)
        assert.equal(existsSync(mark), false, name)
      }
      assert.equal(existsSync(path.join(folder, 'hostile')), false)
    })

    test('a block for a group has one certificate for all of its boxes', async () => {
      const store = path.join(folder, 'group')
      const block = await run(
        'ssh-config',
        '-role=scoped',
        '-group=web',
        `-folder=${store}`,
        'web-*',
      )
      assert.equal(block.status, 0, block.errors)
      const file = config(block.output)
      const env = { ...process.env, VAULT_TOKEN: 'root', HOME: folder }
      for (const name of ['web-1', 'web-2']) {
        const words = ['-oLogLevel=ERROR', '-F', file, `${USER}@${name}`, 'hostname']
        const output = execFileSync('ssh', words, { env })
        assert.equal(output.toString(), `${name}\n`)
      }
      assert.deepEqual(
        readdirSync(store).sort(),
        ['', '-cert.pub', '.pub'].map((end) => USER + end),
      )
    })
  })
})
