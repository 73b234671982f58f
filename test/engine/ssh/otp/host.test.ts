/** One-time passwords for enrolled hosts: creds with a host, verify with a host's signature, and answers that are signed (protocols 5.4, 5.5). */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import {
  HOST_NAMESPACE,
  hostHeaders,
  hostRequestMessage,
  NONCE_BYTES,
} from '../../../../src/ssh/host/host-request.ts'
import {
  VERIFY_NAMESPACE,
  type VerifyAnswer,
  verifyMessageBytes,
} from '../../../../src/ssh/host/verify-message.ts'
import { parseAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { generateKeyPair, type PrivateKey } from '../../../../src/ssh/key/private-key.ts'
import { isSameKey } from '../../../../src/ssh/key/public-key.ts'
import { signBlob, verifyMessage } from '../../../../src/ssh/sshsig.ts'
import { vector, vectorPrivateKey } from '../../../ssh/support.ts'
import type { Answer, Mounted } from '../../harness.ts'
import { assertDone, assertRefused, CLUSTER_ID, mountSsh } from '../support.ts'

const NONCE = Buffer.alloc(32, 7).toString('base64url')
const OTHER_HOST = 'the OTP was issued for another host'
const keys: Readonly<Record<string, PrivateKey>> = {
  'web-1': vectorPrivateKey('ed25519'),
  'web-2': vectorPrivateKey('p256'),
}

/** Two hosts behind one gateway, and one role of each kind. */
async function mountHosts(): Promise<Mounted> {
  const { ssh } = await mountSsh()
  assertDone(await ssh.write('config/hosts', { host_scope: true }))
  await writeHost(ssh, 'web-1', { addresses: '10.0.0.1,192.0.2.9', groups: 'web' })
  await writeHost(ssh, 'web-2', { addresses: '10.0.0.2,192.0.2.9', accounts: 'deploy' })
  for (const [role, fields] of Object.entries({
    plain: {},
    strict: { require_host_identity: true },
    web: { allowed_groups: 'web' },
  })) {
    assertDone(
      await ssh.write(`roles/${role}`, {
        key_type: 'otp',
        default_user: 'alice',
        allowed_users: 'deploy',
        cidr_list: '10.0.0.0/8,192.0.2.0/24',
        ...fields,
      }),
    )
  }
  return ssh
}

async function writeHost(ssh: Mounted, id: string, fields: object): Promise<void> {
  const key = vector(id === 'web-1' ? 'ed25519.pub' : 'p256.pub')
  const named = { names: `${id}.example.org`, host_keys: key, ...fields }
  assertDone(await ssh.write(`hosts/${id}`, named))
}

interface Creds {
  readonly otp: string
  readonly lease: string
}

async function creds(ssh: Mounted, role: string, fields: object): Promise<Creds> {
  const answer = await ssh.write(`creds/${role}`, { ...fields })
  assertDone(answer)
  return { otp: String(answer.data['key']), lease: String(answer.outcome.lease?.id) }
}

interface Signed {
  readonly headers: Record<string, string>
  readonly bodyText: string
}

/** A request of verify as a host signs it, with its key or another. */
async function signed(
  ssh: Mounted,
  hostId: string,
  data: object,
  { key = keys[hostId] as PrivateKey, id = hostId, at = ssh.now } = {},
): Promise<Signed> {
  const bodyText = JSON.stringify(data)
  const nonce = randomBytes(NONCE_BYTES)
  const unixSeconds = Math.floor(at / 1000)
  const message = hostRequestMessage({
    clusterId: CLUSTER_ID,
    method: 'POST',
    path: '/v1/ssh/verify',
    body: bodyText,
    hostId: id,
    unixSeconds,
    nonce,
  })
  const signature = await signBlob(key, HOST_NAMESPACE, message)
  const headers = {
    [hostHeaders.host]: id,
    [hostHeaders.time]: String(unixSeconds),
    [hostHeaders.nonce]: nonce.toString('base64url'),
    [hostHeaders.signature]: signature.toString('base64'),
  }
  return { headers, bodyText }
}

async function verifyAs(
  ssh: Mounted,
  hostId: string,
  data: object,
  options: Parameters<typeof signed>[3] = {},
): Promise<Answer> {
  return ssh.write('verify', { ...data }, await signed(ssh, hostId, data, options))
}

const verify = (ssh: Mounted, data: Record<string, unknown>) => ssh.write('verify', data)

describe('creds for an enrolled host', () => {
  for (const host of ['web-1', 'web-1.example.org', '10.0.0.1']) {
    test(`takes ${host} in the place of an address`, async () => {
      const ssh = await mountHosts()
      const { data } = await ssh.write('creds/plain', { host })
      assert.deepEqual([data['host'], data['ip']], ['web-1', '10.0.0.1'])
    })
  }

  test('takes an address of the host beside it, and no other', async () => {
    const ssh = await mountHosts()
    const both = { host: 'web-1', ip: '192.0.2.9' }
    assert.equal((await ssh.write('creds/plain', both)).data['ip'], '192.0.2.9')
    const wrong = await ssh.write('creds/plain', { host: 'web-1', ip: '10.0.0.2' })
    assertRefused(wrong, 400, '10.0.0.2 is no address of the host web-1')
  })

  test('is refused for a host that is not known, not active, or has no such account', async () => {
    const ssh = await mountHosts()
    assertRefused(await ssh.write('creds/plain', { host: 'db-1' }), 400, 'unknown host: db-1')
    const account = await ssh.write('creds/plain', { host: 'web-2' })
    assertRefused(account, 400, 'host web-2 has no account alice')
    assertDone(await ssh.write('creds/plain', { host: 'web-2', username: 'deploy' }))
    assertDone(await ssh.write('hosts/web-1', { state: 'disabled' }))
    assertRefused(await ssh.write('creds/plain', { host: 'web-1' }), 400, 'host web-1 is disabled')
  })

  test("is refused where the role's networks hold none of the host's addresses", async () => {
    const ssh = await mountHosts()
    await writeHost(ssh, 'web-1', { addresses: '203.0.113.1' })
    const message = 'Error validating IP: IP does not belong to role'
    assertRefused(await ssh.write('creds/plain', { host: 'web-1' }), 400, message)
  })

  test('an address of several hosts is refused with their ids', async () => {
    const ssh = await mountHosts()
    const { status, error } = await ssh.write('creds/plain', { host: '192.0.2.9' })
    assert.equal(status, 400)
    assert.match(error ?? '', /web-1, web-2/)
  })

  test('a role for enrolled hosts finds the host by the address or by what the user calls it', async () => {
    const ssh = await mountHosts()
    const hostFor = async (fields: object) =>
      (await ssh.write('creds/strict', { ...fields })).data['host']
    assert.equal(await hostFor({ ip: '10.0.0.1' }), 'web-1')
    assert.equal(await hostFor({ ip: '198.51.100.1', login_host: 'web-1.example.org' }), 'web-1')
    assert.equal(await hostFor({ ip: '10.0.0.1', login_host: 'unheard.of' }), 'web-1')
    const none = 'the role is for enrolled hosts, and none has this name or address'
    assertRefused(await ssh.write('creds/strict', { ip: '10.0.0.7' }), 400, none)
  })

  test('what the user calls the host does not count for other roles', async () => {
    const ssh = await mountHosts()
    const { data } = await ssh.write('creds/plain', { ip: '10.0.0.1', login_host: 'web-1' })
    assert.deepEqual([data['host'], data['ip']], [undefined, '10.0.0.1'])
  })

  test('a role for some hosts refuses the others', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('creds/web', { ip: '10.0.0.1' }))
    const other = await ssh.write('creds/web', { host: 'web-2', username: 'deploy' })
    assertRefused(other, 400, 'host web-2 is not allowed by role')
  })

  test('only roles of one-time passwords take a host', async () => {
    const ssh = await mountHosts()
    const ca = { key_type: 'ca', allow_user_certificates: true, default_user: 'alice' }
    assertDone(await ssh.write('roles/ca', ca))
    const message = 'host is for roles of key_type otp'
    assertRefused(await ssh.write('creds/ca', { host: 'web-1' }), 400, message)
  })
})

describe('verify of an enrolled host', () => {
  test('is told host and lease too, and only once', async () => {
    const ssh = await mountHosts()
    const { otp, lease } = await creds(ssh, 'plain', { host: 'web-1' })
    const body = { otp, username: 'alice', host: 'web-1' }
    assert.deepEqual((await verifyAs(ssh, 'web-1', body)).data, {
      host: 'web-1',
      ip: '10.0.0.1',
      lease,
      role_name: 'plain',
      username: 'alice',
    })
    assertRefused(await verifyAs(ssh, 'web-1', body), 400, 'OTP not found')
  })

  test('a password for a host is for no other, signed or not, and is kept', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { host: 'web-1' })
    assertRefused(await verifyAs(ssh, 'web-2', { otp }), 400, OTHER_HOST)
    assertRefused(await verify(ssh, { otp }), 400, OTHER_HOST)
    assertRefused(await verify(ssh, { otp, ips: ['10.0.0.1'] }), 400, OTHER_HOST)
    assertDone(await verifyAs(ssh, 'web-1', { otp }))
  })

  test('a password for a host is not for the next one of its name', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { host: 'web-1' })
    assertDone(await ssh.delete('hosts/web-1'))
    ssh.now += 1000
    await writeHost(ssh, 'web-1', { addresses: '10.0.0.1' })
    assertRefused(await verifyAs(ssh, 'web-1', { otp }), 400, OTHER_HOST)
  })

  test('a password for an address is for the host that has it by the registry, whatever it says itself', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { ip: '10.0.0.1' })
    const lie = { otp, ips: ['10.0.0.1'], ip: '10.0.0.1' }
    assertRefused(await verifyAs(ssh, 'web-2', lie), 400, 'the OTP was issued for another IP')
    assertDone(await verifyAs(ssh, 'web-1', { otp }))
  })

  test('a password for an account that the host does not have is refused there', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { ip: '10.0.0.2' })
    assertRefused(await verifyAs(ssh, 'web-2', { otp }), 400, 'host web-2 has no account alice')
  })

  test('require_host_identity refuses plain verify and keeps the password', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'strict', { ip: '10.0.0.1' })
    assertRefused(await verify(ssh, { otp, ips: ['10.0.0.1'] }), 400, OTHER_HOST)
    assertDone(await verifyAs(ssh, 'web-1', { otp }))
  })

  test('require_host_identity counts for passwords that were asked for before', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { ip: '10.0.0.1' })
    const role = { key_type: 'otp', default_user: 'alice', require_host_identity: true }
    assertDone(await ssh.write('roles/plain', { ...role, cidr_list: '10.0.0.0/8' }))
    const message = 'the role is for hosts that prove who they are'
    assertRefused(await verify(ssh, { otp }), 400, message)
    assertDone(await verifyAs(ssh, 'web-1', { otp }))
  })

  test('protocols 5.4: a signature of another key, host, cluster, path, body or time is refused, and the password kept', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { host: 'web-1' })
    const stranger = await generateKeyPair('ed25519', 0)
    const body = { otp, username: 'alice' }
    assertRefused(await verifyAs(ssh, 'web-1', body, { key: stranger }), 403, 'permission denied')
    const stolen = await verifyAs(ssh, 'web-2', body, { id: 'web-1' })
    assertRefused(stolen, 403, 'permission denied')
    for (const off of [-61_000, 61_000]) {
      const late = await verifyAs(ssh, 'web-1', body, { at: ssh.now + off })
      assert.equal(late.status, 400)
      assert.match(late.error ?? '', /clock/)
    }
    assertDone(await verifyAs(ssh, 'web-1', body))
  })

  test('protocols 5.4: a request is taken once, however its random number is spelled', async () => {
    const ssh = await mountHosts()
    const body = { otp: '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c' }
    const request = await signed(ssh, 'web-1', body)
    assertRefused(await ssh.write('verify', body, request), 400, 'OTP not found')
    const nonce = request.headers[hostHeaders.nonce] ?? ''
    for (const spelling of [nonce, `${nonce}==`, `${nonce.slice(0, 9)}.${nonce.slice(9)}`]) {
      const headers = { ...request.headers, [hostHeaders.nonce]: spelling }
      const again = await ssh.write('verify', body, { ...request, headers, requestId: 'r2' })
      assertRefused(again, 403, 'permission denied')
    }
  })

  test('a host that is disabled verifies nothing, and none speaks for another', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { host: 'web-1' })
    assertRefused(
      await verifyAs(ssh, 'web-1', { otp, host: 'web-2' }),
      400,
      'host is not the one that signed',
    )
    assertRefused(
      await verify(ssh, { otp, host: 'web-1' }),
      400,
      'a request that names a host has to be signed by it',
    )
    assertDone(await ssh.write('hosts/web-1', { state: 'disabled' }))
    assertRefused(await verifyAs(ssh, 'web-1', { otp }), 403, 'permission denied')
  })

  test('of 64 enrolled hosts that send one password at once, one is told yes', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { host: 'web-1' })
    const bodies = Array.from({ length: 64 }, () => ({
      otp,
      nonce: randomBytes(32).toString('base64url'),
    }))
    const sent = await Promise.all(bodies.map((body) => signed(ssh, 'web-1', body)))
    const answers = await Promise.all(
      bodies.map((body, at) => ssh.write('verify', body, sent[at] as Signed)),
    )
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(answers.filter(({ error }) => error === 'OTP not found').length, 63)
  })
})

describe('a signed answer of verify', () => {
  async function identity(ssh: Mounted) {
    return parseAuthorizedKey(String((await ssh.read('identity')).data['public_key']))
  }

  async function expected(answer: Answer, otp: string, hostId: string): Promise<VerifyAnswer> {
    const { ip, role_name, username, time } = answer.data
    return {
      clusterId: CLUSTER_ID,
      mountPath: 'ssh',
      nonce: NONCE,
      otp,
      username: String(username),
      ip: String(ip),
      roleName: String(role_name),
      hostId,
      unixSeconds: Number(time),
    }
  }

  for (const hostId of ['web-1', '']) {
    test(`protocols 5.5: is signed by the identity key for ${hostId || 'a host that does not sign'}`, async () => {
      const ssh = await mountHosts()
      const { otp } = await creds(
        ssh,
        'plain',
        hostId === '' ? { ip: '10.0.0.1' } : { host: hostId },
      )
      const body = { otp, nonce: NONCE }
      const answer = await (hostId === '' ? verify(ssh, body) : verifyAs(ssh, hostId, body))
      assertDone(answer)
      assert.equal(answer.data['time'], Math.floor(ssh.now / 1000))
      const message = verifyMessageBytes(await expected(answer, otp, hostId))
      const signature = String(answer.data['signature'])
      const signer = verifyMessage(signature, { namespace: VERIFY_NAMESPACE, message })
      assert.ok(signer && isSameKey(signer, await identity(ssh)))
      assert.equal(answer.data['host'], hostId || undefined)
      assert.equal('lease' in answer.data, hostId !== '')
    })
  }

  test('protocols 5.5: only a yes is signed, and nothing where no nonce was sent', async () => {
    const ssh = await mountHosts()
    const { otp } = await creds(ssh, 'plain', { ip: '10.0.0.1' })
    const wrong = await verify(ssh, { otp, nonce: NONCE, username: 'root' })
    assert.deepEqual([wrong.status, wrong.data], [400, {}])
    assert.deepEqual((await verify(ssh, { otp: 'verify-echo-request', nonce: NONCE })).data, {
      message: 'verify-echo-response',
    })
    const plain = await verify(ssh, { otp })
    assert.deepEqual(plain.data, { ip: '10.0.0.1', role_name: 'plain', username: 'alice' })
  })

  const malformed = ['', 'x', NONCE.slice(1), `${NONCE}=`, `${NONCE}AA`, `+${NONCE.slice(1)}`, 7]
  for (const nonce of malformed) {
    test(`the nonce ${JSON.stringify(nonce)} is refused, and the password kept`, async () => {
      const ssh = await mountHosts()
      const { otp } = await creds(ssh, 'plain', { ip: '10.0.0.1' })
      const message = 'nonce has to be 32 bytes in base64url'
      assertRefused(await verify(ssh, { otp, nonce }), 400, message)
      assertDone(await verify(ssh, { otp }))
    })
  }

  test('a mount without an identity key refuses to sign, and keeps the password', async () => {
    const { ssh } = await mountSsh()
    const role = { key_type: 'otp', default_user: 'alice', cidr_list: '10.0.0.0/8' }
    assertDone(await ssh.write('roles/plain', role))
    const { otp } = await creds(ssh, 'plain', { ip: '10.0.0.1' })
    const { status, error } = await verify(ssh, { otp, nonce: NONCE })
    assert.equal(status, 400)
    assert.match(error ?? '', /no identity key/)
    assertDone(await verify(ssh, { otp }))
  })
})
