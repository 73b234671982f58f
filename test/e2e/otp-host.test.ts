/** A false server before a real sshd with PAM: who knows the key of the true one lets nobody in for it (protocols 5.5). */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import {
  VERIFY_NAMESPACE,
  type VerifyAnswer,
  verifyMessageBytes,
} from '../../src/ssh/host/verify-message.ts'
import { encodeAuthorizedKey } from '../../src/ssh/key/authorized-keys.ts'
import { generateKeyPair, type PrivateKey } from '../../src/ssh/key/private-key.ts'
import { signMessage } from '../../src/ssh/sshsig.ts'
import { type FakeServer, type SeenRequest, startFakeServer } from '../client/fake-server.ts'
import { logInWithPassword, makeUser, type PrivateSshd, startSshd } from '../support/sshd.ts'

const HOST_PROGRAM = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
const USER = `ptest-v${process.pid}`
const OTP = '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c'
const CLUSTER = '5a1f0c2e-0000-4000-8000-000000000001'

const bodyOf = (request: SeenRequest): Record<string, string> => JSON.parse(request.body)
const seconds = () => Math.floor(Date.now() / 1000)

suite('a server that says yes to everything, before a host that knows the true one', () => {
  const resources = new AsyncDisposableStack()
  let fake: FakeServer
  let sshd: PrivateSshd
  let own: PrivateKey
  let stranger: PrivateKey
  /** What the fake says besides its yes. */
  let more: (asked: Record<string, string>) => Promise<object> = async () => ({})

  before(async () => {
    own = await generateKeyPair('ed25519', 0)
    stranger = await generateKeyPair('ed25519', 0)
    resources.use(makeUser(USER))
    const yes = { ip: '127.0.0.1', role_name: 'otp', username: USER }
    fake = resources.use(
      await startFakeServer((request) => ({
        body: more(bodyOf(request)).then((rest) => ({ data: { ...yes, ...rest } })),
      })),
    )
    const helper = `${process.execPath} ${HOST_PROGRAM} verify-otp -dev -config=FOLDER/host.hcl`
    sshd = resources.use(
      await startSshd({
        settings: ['KbdInteractiveAuthentication yes', 'PasswordAuthentication no'],
        pam: [
          `auth requisite pam_exec.so quiet expose_authtok log=FOLDER/helper.log ${helper}`,
          'auth optional pam_unix.so not_set_pass use_first_pass nodelay',
          'account required pam_permit.so',
          'session required pam_permit.so',
        ],
      }),
    )
    writeConfig(pin(own))
  })

  after(() => resources.disposeAsync())

  const pin = ({ publicKey }: PrivateKey) =>
    `server_key = "${encodeAuthorizedKey(publicKey.blob)}"\ncluster_id = "${CLUSTER}"\n`

  function writeConfig(lines: string): void {
    const text = `vault_addr = "${fake.address}"\nallowed_roles = "*"\n${lines}`
    writeFileSync(path.join(sshd.folder, 'host.hcl'), text)
  }

  /** As the server signs, with what is changed. */
  async function sign(
    asked: Record<string, string>,
    change: Partial<VerifyAnswer> = {},
    key = own,
  ) {
    const message = verifyMessageBytes({
      clusterId: CLUSTER,
      mountPath: 'ssh',
      nonce: asked['nonce'] ?? '',
      otp: OTP,
      username: USER,
      ip: '127.0.0.1',
      roleName: 'otp',
      hostId: '',
      unixSeconds: seconds(),
      ...change,
    })
    const time = change.unixSeconds ?? seconds()
    return { time, signature: await signMessage(key, VERIFY_NAMESPACE, message) }
  }

  async function isLetIn(): Promise<boolean> {
    const login = await logInWithPassword(sshd, USER, OTP)
    assert.equal(login.status === 0, login.output.trim() === USER)
    return login.status === 0
  }

  async function assertRefused(reason: RegExp): Promise<void> {
    const file = path.join(sshd.folder, 'helper.log')
    const known = readFileSync(file, 'utf8').length
    assert.equal(await isLetIn(), false)
    assert.match(readFileSync(file, 'utf8').slice(known), reason)
  }

  test('lets in whom the true server lets in, for this login alone', async () => {
    let said: object = {}
    more = async (asked) => {
      said = await sign(asked)
      return said
    }
    assert.equal(await isLetIn(), true)
    more = async () => said
    await assertRefused(/the signature is of another answer/)
  })

  test('protocols 5.5: lets nobody in without a signature, where a host without a key does', async () => {
    more = async () => ({})
    await assertRefused(/the server's answer is not signed/)
    writeConfig('')
    assert.equal(await isLetIn(), true)
    writeConfig(pin(own))
    await assertRefused(/the server's answer is not signed/)
  })

  test('protocols 5.5: lets nobody in for what another key signed, be it for the very request', async () => {
    more = (asked) => sign(asked, {}, stranger)
    await assertRefused(/another key than the server's/)
  })

  const changes: readonly Partial<VerifyAnswer>[] = [
    { clusterId: '5a1f0c2e-0000-4000-8000-000000000002' },
    { mountPath: 'other' },
    { username: 'root' },
    { hostId: 'web-1' },
    { unixSeconds: seconds() - 3600 },
  ]
  for (const change of changes) {
    test(`protocols 5.5: lets nobody in for an answer with ${Object.keys(change)} of another one`, async () => {
      more = (asked) => sign(asked, change)
      await assertRefused(/another answer|too far from this host's clock/)
    })
  }
})
