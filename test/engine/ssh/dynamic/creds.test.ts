/** Keys for hosts, with a host that the test plays: what is asked of it, when, and what becomes of the lease (protocols 1.5, 1.6). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KeyLease } from '../../../../src/engine/ssh/dynamic/lease.ts'
import type {
  RemoteHost,
  RemoteHosts,
  RemoteResult,
} from '../../../../src/engine/ssh/dynamic/remote.ts'
import { PosternError } from '../../../../src/errors.ts'
import type { PendingLease } from '../../../../src/mount/call.ts'
import type { LeasedData } from '../../../../src/mount/path.ts'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import { vector, vectorBlob } from '../../../ssh/support.ts'
import type { Mounted } from '../../harness.ts'
import { assertDone, assertRefused, mountSsh, wrapped } from '../support.ts'

const FAILED = 'failed to add public key to authorized_keys file in target: '
const HOST_KEY = vectorBlob('p256.pub')

interface Run {
  readonly host: RemoteHost
  readonly program: string
}

/** A host that shows its key, takes the program, and answers as it is told. */
class PlayedHost implements RemoteHosts {
  readonly runs: Run[] = []
  /** Where it fails: before anything is sent, or after. */
  failure: { readonly at: 'login' | 'cut'; readonly reason: string } | undefined
  result: Partial<RemoteResult> = {}
  /** Looks on while the program runs. */
  onRun: () => void = () => {}

  async run(host: RemoteHost, program: Parameters<RemoteHosts['run']>[1]): Promise<RemoteResult> {
    await host.checkHostKey(HOST_KEY)
    const { failure } = this
    if (failure?.at === 'login') throw new PosternError('refused', failure.reason)
    const serverVersion = 'OpenSSH_9.2p1'
    const text = typeof program === 'string' ? program : program(serverVersion)
    host.beforeSend?.()
    this.onRun()
    this.runs.push({ host, program: text })
    if (failure) throw new PosternError('refused', failure.reason)
    return { status: 0, stdout: '', stderr: '', serverVersion, ...this.result }
  }

  async close(): Promise<void> {}
}

async function world(fields: Record<string, unknown> = {}) {
  const host = new PlayedHost()
  const { ssh, logged } = await mountSsh({ remote: host })
  assertDone(await ssh.write('keys/fleet', { key: vector('rsa.key') }))
  assertDone(
    await ssh.write('roles/web', {
      key_type: 'dynamic',
      key: 'fleet',
      admin_user: 'admin',
      default_user: 'ubuntu',
      cidr_list: '10.0.0.0/8',
      ...fields,
    }),
  )
  return { host, ssh, logged }
}

const creds = (ssh: Mounted, fields = {}) => ssh.write('creds/web', { ip: '10.1.2.3', ...fields })

function activated({ outcome }: Awaited<ReturnType<typeof creds>>): PendingLease {
  assert.ok(outcome.activatedLease)
  return outcome.activatedLease
}

describe('creds of a dynamic role', () => {
  test('protocols 1.5: the lease is stored before the host is asked, and active with the answer', async () => {
    const { host, ssh } = await world()
    let leases = 0
    host.onRun = () => {
      leases = ssh.begun.size
    }
    const answer = await creds(ssh)
    assertDone(answer)
    assert.equal(leases, 1)
    const { ttlSeconds, maxTtlSeconds, renewable, data } = activated(answer).terms
    assert.deepEqual([ttlSeconds, maxTtlSeconds, renewable], [600, 86_400, true])
    const { key, ...rest } = answer.data
    assert.deepEqual(rest, { ip: '10.1.2.3', key_type: 'dynamic', port: 22, username: 'ubuntu' })
    assert.match(String(key), /^-----BEGIN OPENSSH PRIVATE KEY-----\n/)
    assert.equal(JSON.stringify(data).includes(String(key).split('\n')[1] ?? ''), false)
    const [run] = host.runs
    assert.deepEqual([run?.host.address, run?.host.port, run?.host.user], ['10.1.2.3', 22, 'admin'])
    assert.ok(run?.program.includes((data as KeyLease).publicKey))
    assert.ok(run?.program.includes('expiry-time="20261122120959Z"'))
  })

  test('pins the host at first contact, and says so in answer and log', async () => {
    const { host, ssh, logged } = await world()
    const first = await creds(ssh)
    assert.equal(first.warnings.length, 1)
    assert.match(first.warnings[0] ?? '', /10\.1\.2\.3 was not known and is pinned now/)
    assert.ok(first.warnings[0]?.includes(fingerprint(HOST_KEY)))
    assert.equal(logged.length, 1)
    assert.deepEqual((await creds(ssh)).warnings, [])
    assert.deepEqual(host.runs[1]?.host.hostKeyAlgorithms, ['ecdsa-sha2-nistp256'])
    assert.deepEqual((await ssh.list('host-pins')).data['keys'], ['10.1.2.3/22'])
  })

  test('a first contact that comes to nothing, or is for an end, is in the log too', async () => {
    const { host, ssh, logged } = await world()
    host.failure = { at: 'login', reason: 'no answer' }
    assert.equal((await creds(ssh)).status, 500)
    assert.equal(logged.length, 1)
    assert.ok(logged[0]?.message.includes(fingerprint(HOST_KEY)))
    host.failure = undefined
    const leased = await ssh.leased(activated(await creds(ssh)))
    assertDone(await ssh.delete('host-pins/10.1.2.3'))
    assert.deepEqual(await ssh.external.end([leased]), [undefined])
    assert.equal(logged.length, 2)
  })

  test('what fails before the host has done anything leaves no lease', async () => {
    const { host, ssh } = await world()
    host.failure = { at: 'login', reason: 'no answer' }
    assertRefused(await creds(ssh), 500, wrapped(`${FAILED}no answer`))
    assert.equal(ssh.begun.size, 0)
    host.failure = undefined
    host.result = { status: 1, stderr: 'postern: sudo: a password is required\n' }
    assertRefused(await creds(ssh), 500, wrapped(`${FAILED}sudo: a password is required`))
    assert.equal(ssh.begun.size, 0)
  })

  test('what may have been installed keeps its lease, so that it is ended', async () => {
    const { host, ssh } = await world()
    host.failure = { at: 'cut', reason: 'the connection was cut' }
    assertRefused(await creds(ssh), 500, wrapped(`${FAILED}the connection was cut`))
    assert.equal(ssh.begun.size, 1)
    host.failure = undefined
    const cut = [{ status: null, signal: 'SIGKILL' }, { status: 124 }, { status: 143 }]
    for (const [index, result] of cut.entries()) {
      host.result = result
      assert.equal((await creds(ssh)).status, 500)
      assert.equal(ssh.begun.size, 2 + index)
    }
  })

  test('a script of one’s own may have done anything before it failed', async () => {
    const { host, ssh } = await world({ install_script: '#!/bin/sh\nexit 1\n' })
    host.result = { status: 1 }
    assert.equal((await creds(ssh)).status, 500)
    assert.equal(ssh.begun.size, 1)
  })

  test('the error of the host never shows the key', async () => {
    const { host, ssh } = await world()
    host.result = { status: 1, stderr: `bad line ${HOST_KEY.toString('base64')}\x1b[2J` }
    const { error = '' } = await creds(ssh)
    assert.match(error, /bad line \[key\]/)
    assert.equal(error.includes('\x1b'), false)
  })

  test('a role whose key is gone issues nothing', async () => {
    const { host, ssh } = await world()
    assertDone(await ssh.request('delete', 'keys/fleet', { force: true }))
    assertRefused(await creds(ssh), 500, wrapped('key "fleet" not found'))
    assert.equal(host.runs.length, 0)
  })

  test('protocols 4.2: root only where the role names it', async () => {
    const any = await world({ allowed_users: '*' })
    const { status, error } = await creds(any.ssh, { username: 'root' })
    assert.equal(status, 400)
    assert.match(error ?? '', /root has to be named/)
    assert.equal((await creds(any.ssh, { username: '0' })).status, 400)
    const named = await world({ allowed_users: 'root' })
    const answer = await creds(named.ssh, { username: 'root' })
    assert.equal((activated(answer).terms.data as KeyLease).mayBeRoot, true)
  })

  test('protocols 4.5: a script is kept in the lease', async () => {
    const script = '#!/bin/sh\nexit 0\n'
    const { ssh } = await world({ install_script: script })
    assert.equal((activated(await creds(ssh)).terms.data as KeyLease).installScript, script)
  })

  test('with renew_rewrites_expiry=false the line ends with the longest life', async () => {
    const { host, ssh } = await world({ renew_rewrites_expiry: false })
    const lease = activated(await creds(ssh))
    assert.ok(host.runs[0]?.program.includes('expiry-time="20261123115959Z"'))
    const leased = await ssh.leased(lease)
    assert.equal(await ssh.external.renew?.(leased, lease.expiresAt + 1000), undefined)
    assert.equal(host.runs.length, 1)
  })
})

describe('a key that leases need', () => {
  test('is deleted only when the last of them has ended', async () => {
    const { ssh } = await world()
    const leases = [activated(await creds(ssh)), activated(await creds(ssh))]
    const refusal = (count: string) =>
      `key "fleet" is needed to end ${count}: revoke them first, or delete it with force=true`
    assertRefused(await ssh.delete('keys/fleet'), 400, refusal('2 leases'))
    await ssh.revoke(leases[0] as PendingLease)
    assertRefused(await ssh.delete('keys/fleet'), 400, refusal('1 lease'))
    const tidied = await ssh.delete('tidy/dynamic-keys')
    assert.deepEqual(tidied.data, { message: 'Removed 0 of 1 host keys.' })
    await ssh.revoke(leases[1] as PendingLease)
    assertDone(await ssh.delete('keys/fleet'))
  })

  test('is not deleted when a lease begins meanwhile', async () => {
    const { host, ssh } = await world()
    assertDone(await ssh.write('keys/other', { key: vector('ed25519.key') }))
    const [answer, deletion] = await Promise.all([creds(ssh), ssh.delete('keys/fleet')])
    assert.ok(
      answer.status !== 200 || deletion.status === 400,
      `${answer.status} ${deletion.status}`,
    )
    assert.equal(host.runs.length, answer.status === 200 ? 1 : 0)
  })
})

describe('the end of leases', () => {
  async function many(ssh: Mounted, count: number, fields = {}) {
    const leases = []
    for (let index = 0; index < count; index++) {
      leases.push(await ssh.leased(activated(await creds(ssh, fields))))
    }
    return leases
  }

  test('takes the keys of one user off a host in one program', async () => {
    const { host, ssh } = await world({ allowed_users: 'dev' })
    const leases = [...(await many(ssh, 3)), ...(await many(ssh, 2, { username: 'dev' }))]
    assert.equal(new Set(leases.map((lease) => ssh.external.groupOf?.(lease))).size, 1)
    host.runs.length = 0
    assert.deepEqual(await ssh.external.end(leases), [
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
    assert.equal(host.runs.length, 2)
    for (const { data } of leases) {
      const base64 = (data as KeyLease).publicKey.split(' ')[1] ?? ''
      assert.equal(host.runs.filter(({ program }) => program.includes(base64)).length, 1)
    }
  })

  test('takes 500 at once, in one program', async () => {
    const { host, ssh } = await world()
    const [lease] = await many(ssh, 1)
    host.runs.length = 0
    const errors = await ssh.external.end(Array.from({ length: 500 }, () => lease as LeasedData))
    assert.deepEqual([errors.length, errors.filter(Boolean)], [500, []])
    assert.equal(host.runs.length, 1)
  })

  test('fails with the reason for every lease that it was about, and for no other', async () => {
    const { host, ssh } = await world()
    const leases = await many(ssh, 2)
    const [elsewhere] = await many(ssh, 1, { ip: '10.9.9.9' })
    assert.notEqual(ssh.external.groupOf?.(leases[0]!), ssh.external.groupOf?.(elsewhere!))
    host.failure = { at: 'cut', reason: 'no answer' }
    const errors = await ssh.external.end(leases)
    for (const error of errors) {
      assert.match(
        error?.message ?? '',
        /error removing public key from authorized_keys file in target: no answer/,
      )
    }
    host.failure = undefined
    assert.deepEqual(await ssh.external.end([...leases, elsewhere!]), [
      undefined,
      undefined,
      undefined,
    ])
  })

  test('hands a script of one’s own one key at a time', async () => {
    const { host, ssh } = await world({ install_script: '#!/bin/sh\nexit 0\n' })
    const leases = await many(ssh, 3)
    host.runs.length = 0
    assert.deepEqual(await ssh.external.end(leases), [undefined, undefined, undefined])
    assert.equal(host.runs.length, 3)
  })

  test('is refused to a host whose key has changed since, also where the role is gone', async () => {
    const strict = { host_keys: `* ${vector('p256.pub').split(' ').slice(0, 2).join(' ')}` }
    const { host, ssh } = await world(strict)
    const lease = activated(await creds(ssh))
    assertDone(await ssh.delete('roles/web'))
    const leased = await ssh.leased(lease)
    assert.deepEqual(await ssh.external.end([leased]), [undefined])
    const hostKeys = `* ${vector('rsa.pub').split(' ').slice(0, 2).join(' ')}`
    const moved = { ...leased, data: { ...(leased.data as KeyLease), hostKeys } }
    const [error] = await ssh.external.end([moved])
    assert.match(error?.message ?? '', /has changed: it is SHA256:/)
    assert.equal(host.runs.length, 2)
  })

  test('says that the admin key is gone', async () => {
    const { ssh } = await world()
    const lease = activated(await creds(ssh))
    assertDone(await ssh.request('delete', 'keys/fleet', { force: true }))
    const [error] = await ssh.external.end([await ssh.leased(lease)])
    assert.match(error?.message ?? '', /key "fleet" not found/)
  })

  test('renewing writes the line anew with the new end', async () => {
    const { host, ssh } = await world()
    const [lease] = await many(ssh, 1)
    await ssh.external.renew?.(lease!, lease!.expiresAt + 600_000)
    assert.ok(host.runs[1]?.program.includes('expiry-time="20261122121959Z"'))
    host.result = { status: 1, stderr: 'no space' }
    const refusal = { message: /no space/, mayGoOn: false }
    await assert.rejects(async () => ssh.external.renew?.(lease!, lease!.expiresAt), refusal)
  })

  test('renewing tells when the host may still be at it', async () => {
    const { host, ssh } = await world()
    const [lease] = await many(ssh, 1)
    const renewed = async () => ssh.external.renew?.(lease!, lease!.expiresAt)
    host.result = { status: 124 }
    await assert.rejects(renewed, { message: /status 124/, mayGoOn: true })
    host.failure = { at: 'login', reason: 'no route' }
    await assert.rejects(renewed, { message: /no route/, mayGoOn: false })
    host.failure = { at: 'cut', reason: 'the connection was cut' }
    await assert.rejects(renewed, { message: /was cut/, mayGoOn: true })
  })
})
