/** A host of its own that is enrolled at a server of its own, with something in between, for tests of `postern-host service`. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { apiOf } from './api.ts'
import { type Box, startBoxes } from './boxes.ts'
import { type Meddler, startMeddler } from './meddler.ts'
import { startServer } from './server.ts'
import { eventually } from './site.ts'

const HOST_BIN = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
const USER = 'deploy'
const PID = '/run/service.pid'

/** The limits of packaging/postern-host.service that can be had without systemd. */
const AS_UNIT = [
  '/usr/bin/setpriv',
  '--no-new-privs',
  '--bounding-set=-all,+dac_override,+fowner,+kill',
]

export interface EnrolledBox extends AsyncDisposable {
  readonly box: Box
  readonly meddler: Meddler
  readonly folder: string
  /** Private key whose certificates these are. */
  readonly key: string
  /** The data of an answer; fails for an error. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are JSON of any form
  ask(method: string, place: string, body?: object): Promise<any>
  start(): void
  /** Sends it to the service; with SIGKILL and SIGTERM waits for its end. */
  signal(name: 'SIGKILL' | 'SIGTERM' | 'SIGHUP'): Promise<void>
  /** What `postern-host status` reads. */
  status(): ReturnType<typeof JSON.parse>
  /** What the service has written. */
  log(): string
  /** File of a new certificate for the group `web`, and its serial. */
  certificate(target?: object): Promise<{ readonly file: string; readonly serial: string }>
  letsIn(file: string): Promise<boolean>
}

export async function startEnrolledBox(name: string): Promise<EnrolledBox> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-enrolled-')), (made) =>
    rmSync(made, { recursive: true }),
  )
  const key = path.join(folder, 'key')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const site = stack.use(await startBoxes({ names: [name] }))
  const [box] = site.boxes as [Box]
  const flags = ['-dev', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:0']
  const server = await startServer(flags)
  stack.defer(async () => void (await server.stop()))
  const meddler = stack.use(await startMeddler(site.address, server.address))
  const api = apiOf(server.address, 'root')
  const ask = async (method: string, place: string, body?: object) => {
    const answer = await api(method, place, body)
    assert.ok(answer.status < 300, `${place}: ${JSON.stringify(answer.body)}`)
    return answer.body?.data ?? answer.body
  }
  await ask('POST', 'sys/mounts/ssh', { type: 'ssh' })
  await ask('POST', 'ssh/config/ca', { key_type: 'ed25519' })
  await ask('POST', 'ssh/config/hosts', { host_scope: true })
  const scope = { host_scope: 'required', allowed_hosts: '*', allowed_groups: '*' }
  const users = { allow_user_certificates: true, allowed_users: '*', default_user: USER }
  await ask('POST', 'ssh/roles/web', { key_type: 'ca', ...users, ...scope })

  let log = ''
  let made = 0
  const enrolled: Omit<EnrolledBox, typeof Symbol.asyncDispose> = {
    box,
    meddler,
    folder,
    key,
    ask,
    start: () => {
      box.write(PID, '')
      const run = `echo $$ > ${PID}; exec "$@"`
      const words = ['sh', '-c', run, 'sh', ...AS_UNIT, process.execPath, HOST_BIN]
      const child = box.spawn([...words, 'service', '-dev'])
      child.stderr?.on('data', (text) => {
        log += text
      })
    },
    signal: async (signal) => {
      const place = `/proc/${box.read(PID).trim()}`
      await box.shell(`kill -${signal.slice(3)} "$(cat ${PID})"`)
      if (signal === 'SIGHUP') return
      await eventually(
        () => !box.exists(place) || / Z /.test(box.read(`${place}/stat`)),
        'the service does not end',
      )
    },
    status: () =>
      box.exists('/run/postern/status.json')
        ? JSON.parse(box.read('/run/postern/status.json'))
        : {},
    log: () => log,
    certificate: async (target = { group: 'web' }) => {
      const public_key = readFileSync(`${key}.pub`, 'utf8')
      const data = await ask('PUT', 'ssh/sign/web', { public_key, ...target })
      const file = path.join(folder, `cert-${made++}.pub`)
      writeFileSync(file, data.signed_key)
      return { file, serial: data.serial_number }
    },
    letsIn: async (file) => {
      let login = await box.login({ user: USER, key, certificate: file })
      // sshd does not listen for some milliseconds when it reads its configuration anew.
      for (let at = 0; at < 100 && /Connection (refused|reset)/.test(login.errors); at++) {
        login = await box.login({ user: USER, key, certificate: file })
      }
      const { status, output, errors } = login
      if (status === 0) assert.equal(output, `${USER}\n`)
      else assert.match(errors, /Permission denied/)
      return status === 0
    },
  }

  await box.shell(`useradd --create-home --shell /bin/sh --password '*' ${USER}`)
  box.write('/etc/postern/host.hcl', `vault_addr = "${meddler.address}"\nallowed_roles = "*"\n`)
  const token = { name_pattern: name, groups: 'web', certificate_names: `{{name}},${box.address}` }
  const { join_token: input } = await ask('POST', 'ssh/join-tokens', token)
  const { public_key: serverKey } = await ask('GET', 'ssh/identity')
  const words = [process.execPath, HOST_BIN, 'enroll', '-dev', `-name=${name}`]
  const { status, errors } = await box.run([...words, `-server-key=${serverKey}`], { input })
  assert.equal(status, 0, errors)
  const drop = String(await ask('GET', `ssh/hosts/${name}/sshd_config`))
  box.write('/etc/ssh/sshd_config.d/00-postern.conf', drop)
  const cas = String(await ask('GET', 'ssh/public_key?usage=scoped'))
  box.write('/etc/ssh/postern/user_ca.pub', cas)
  box.write('/etc/ssh/postern/revoked.krl', '')
  await box.startSshd()
  enrolled.start()
  await eventually(
    () => enrolled.status().krl !== undefined && enrolled.status().bundle !== undefined,
    () => `nothing comes:\n${log}`,
  )
  const owned = stack.move()
  return { ...enrolled, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
