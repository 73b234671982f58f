/**
 * The walk-through of 2017, "signing with curl": its commands to the letter where they are complete, against a
 * real server, and a login to a real sshd with the certificate.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type RunningServer, startDevServer } from '../support/server.ts'
import { logInWithKey, makeUser, type PrivateSshd, startSshd } from '../support/sshd.ts'

const USER = 'ec2-user'
const HEADER = `-H "x-Vault-Token: \${VAULT_TOKEN}"`
const MOUNT = `\${VAULT_ADDR}/v1/ssh-client-signer`

suite('the walk-through of 2017', () => {
  const resources = new AsyncDisposableStack()
  let server: RunningServer
  let sshd: PrivateSshd
  let home: string

  before(async () => {
    resources.use(makeUser(USER))
    home = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-w2017-')), (folder) =>
      rmSync(folder, { recursive: true }),
    )
    mkdirSync(path.join(home, '.ssh'), { mode: 0o700 })
    const key = path.join(home, '.ssh/id_rsa')
    execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', key])
    server = resources.adopt(await startDevServer(), async (running) => void (await running.stop()))
  })

  after(() => resources.disposeAsync())

  /** Runs a line of the document; its output. */
  function shell(line: string): string {
    const env = {
      PATH: process.env['PATH'],
      VAULT_ADDR: server.address,
      VAULT_TOKEN: 'root',
      HOME: home,
    }
    return execFileSync('bash', ['-e', '-o', 'pipefail', '-c', line], {
      env,
      encoding: 'utf8',
      stdio: 'pipe',
    })
  }

  /** The same for a request with the status behind the answer. */
  function curl(line: string): { status: number; text: string } {
    const output = shell(`${line} -w '\\n%{http_code}'`)
    const at = output.lastIndexOf('\n')
    return { status: Number(output.slice(at + 1)), text: output.slice(0, at) }
  }

  function sign(payload: string, file: string, role = 'test-role-ec2-user'): string {
    const target = path.join(home, '.ssh', file)
    shell(
      `export PAYLOAD='${payload}'\ncurl -s -k -X POST ${HEADER} -d "\${PAYLOAD}" ${MOUNT}/sign/${role} |jq -r .data.signed_key > ${target}`,
    )
    assert.match(readFileSync(target, 'utf8'), /^ssh-rsa-cert-v01@openssh\.com /)
    return target
  }

  const publicKey = `"'"\`cat ~/.ssh/id_rsa.pub\`"'"`
  const key = () => path.join(home, '.ssh/id_rsa')
  const logIn = (certificate: string) => logInWithKey(sshd, USER, { key: key(), certificate })

  test('the server answers for its health', () => {
    const health = JSON.parse(shell(`curl -s -k -X GET \${VAULT_ADDR}/v1/sys/health`))
    assert.equal(health.initialized, true)
    assert.equal(health.sealed, false)
  })

  test('the engine is mounted with a longest life of 24 hours', () => {
    const made = curl(
      `export PAYLOAD='{"type": "ssh", "description": "SSH Signer", "config": { "max_lease_ttl": "24h"}}'\n` +
        `curl -s -k -X POST ${HEADER} -d "\${PAYLOAD}" \${VAULT_ADDR}/v1/sys/mounts/ssh-client-signer`,
    )
    assert.deepEqual(made, { status: 204, text: '' })
    const mounts = JSON.parse(
      shell(`curl -s -k -X GET ${HEADER} \${VAULT_ADDR}/v1/sys/mounts|jq .`),
    )
    // Where clients of that time read it, and where those of today do.
    for (const table of [mounts, mounts.data]) {
      assert.equal(table['ssh-client-signer/'].type, 'ssh')
      assert.equal(table['ssh-client-signer/'].description, 'SSH Signer')
      assert.equal(table['ssh-client-signer/'].config.max_lease_ttl, 86400)
    }
  })

  test('the CA is generated, and its public key is there for everybody', () => {
    const made = curl(
      `export PAYLOAD='{"generate_signing_key": true}'\n` +
        `curl -s -k -X POST ${HEADER} -d "\${PAYLOAD}" ${MOUNT}/config/ca`,
    )
    assert.equal(made.status, 200, made.text)
    const shown = curl(`curl -s -k -X GET ${MOUNT}/public_key`)
    assert.equal(shown.status, 200)
    assert.equal(JSON.parse(made.text).data.public_key.trim(), shown.text.trim())
    assert.match(shown.text, /^ssh-rsa AAAA/)
  })

  test('the role is made and shown', () => {
    const payload =
      '{"allow_user_certificates": true, "allowed_users": "*", "default_extensions": [{"permit-pty": ""}], "key_type": "ca", "default_user": "ec2-user", "ttl": "30m0s"}'
    for (const role of ['aws', 'test-role-ec2-user']) {
      const made = curl(
        `export PAYLOAD='${payload}'\ncurl -s -k -X POST ${HEADER} -d "\${PAYLOAD}" ${MOUNT}/roles/${role}`,
      )
      assert.deepEqual(made, { status: 204, text: '' })
    }
    const list = JSON.parse(shell(`curl -s -k -X GET ${HEADER} ${MOUNT}/roles?list=true|jq -r .`))
    assert.deepEqual(list.data.keys, ['aws', 'test-role-ec2-user'])
    const role = JSON.parse(shell(`curl -s -k -X GET ${HEADER} ${MOUNT}/roles/aws|jq -r .`))
    assert.deepEqual(role.data.default_extensions, { 'permit-pty': '' })
    assert.equal(role.data.ttl, 1800)
    assert.equal(role.data.allowed_users, '*')
  })

  test('a host trusts the CA, and a signed key opens it', async () => {
    sshd = resources.use(
      await startSshd({ settings: ['TrustedUserCAKeys FOLDER/trusted-user-ca-keys.pem'] }),
    )
    shell(`curl -s -k -o ${sshd.folder}/trusted-user-ca-keys.pem ${MOUNT}/public_key`)
    const certificate = sign(
      `{"valid_principals": "ec2-user", "public_key": ${publicKey}}`,
      'id_rsa-cert.pub',
    )
    const login = await logIn(certificate)
    assert.equal(login.status, 0, `${login.errors}\n${sshd.log()}`)
    assert.equal(login.output.trim(), USER)
    const shown = shell(`ssh-keygen -Lf ${certificate}`)
    assert.match(shown, /Type: ssh-rsa-cert-v01@openssh\.com user certificate/)
    assert.match(shown, /Principals: \n\s+ec2-user\n/)
    assert.match(shown, /Extensions: \n\s+permit-pty\n/)
    assert.match(shown, /Critical Options: \(none\)/)
  })

  test('sshd refuses a certificate for another principal', async () => {
    const certificate = sign(
      `{"valid_principals": "somebody", "public_key": ${publicKey}}`,
      'other-cert.pub',
    )
    assert.equal((await logIn(certificate)).status, 255)
    assert.match(sshd.log(), /name is not a listed principal/)
  })

  test('sshd refuses a certificate of another CA', async () => {
    shell(
      `curl -s -k -f -X POST ${HEADER} -d '{"type": "ssh"}' \${VAULT_ADDR}/v1/sys/mounts/foreign\n` +
        `curl -s -k -f -X POST ${HEADER} -d '{"generate_signing_key": true}' \${VAULT_ADDR}/v1/foreign/config/ca\n` +
        `curl -s -k -f -X POST ${HEADER} -d '{"allow_user_certificates": true, "allowed_users": "*", "key_type": "ca"}' \${VAULT_ADDR}/v1/foreign/roles/r`,
    )
    const target = path.join(home, '.ssh/foreign-cert.pub')
    const payload = { valid_principals: USER, public_key: readFileSync(`${key()}.pub`, 'utf8') }
    writeFileSync(path.join(home, 'payload'), JSON.stringify(payload))
    shell(
      `curl -s -k -f -X POST ${HEADER} -d @${home}/payload \${VAULT_ADDR}/v1/foreign/sign/r |jq -r .data.signed_key > ${target}`,
    )
    const before = sshd.log().length
    assert.equal((await logIn(target)).status, 255)
    assert.doesNotMatch(sshd.log().slice(before), /Accepted/)
  })

  test('sshd refuses a certificate whose time is over', async () => {
    const certificate = sign(
      `{"valid_principals": "ec2-user", "ttl": "1s", "public_key": ${publicKey}}`,
      'short-cert.pub',
    )
    const end = /Valid: from \S+ to (\S+)/.exec(shell(`TZ=UTC ssh-keygen -Lf ${certificate}`))?.[1]
    const remaining = Date.parse(`${end}Z`) - Date.now()
    assert.ok(remaining < 2000, `ends at ${end}`)
    // sshd has no clock that a test could move.
    await delay(Math.max(0, remaining) + 1)
    assert.equal((await logIn(certificate)).status, 255)
    assert.match(sshd.log(), /Certificate invalid: expired/)
  })

  test('the role is removed', () => {
    const removed = curl(`curl -s -k -X DELETE ${HEADER} ${MOUNT}/roles/test-role-ec2-user`)
    assert.deepEqual(removed, { status: 204, text: '' })
    assert.equal(curl(`curl -s -k -X GET ${HEADER} ${MOUNT}/roles/test-role-ec2-user`).status, 404)
  })
})
