/** A backup put back from end to end (protocols 1.10): nothing that ended meanwhile comes to life with it. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { apiOf } from '../support/api.ts'
import { type CliRun, runPostern } from '../support/cli.ts'
import { initialize, makeSite } from '../support/site.ts'

const OTP_ROLE = { key_type: 'otp', default_user: 'u', cidr_list: '10.0.0.0/8', ttl: '1h' }

async function ran(run: Promise<CliRun>): Promise<string> {
  const { status, output, errors } = await run
  assert.equal(status, 0, errors)
  return output
}

test('protocols 1.10: a restore revives no password and no token, and its keys make a new root', async () => {
  await using site = makeSite()
  const store = `-store=${path.join(site.folder, 'store.db')}`
  const backup = path.join(site.folder, 'backup.db')
  const first = await site.start()
  const { root, key, api } = await initialize(first.address)
  await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
  await api('POST', 'ssh/roles/otp', OTP_ROLE)
  const issue = async (ip: string) =>
    (await api('PUT', 'ssh/creds/otp', { ip })).body.data.key as string
  const token = async () => {
    const { body } = await api('POST', 'auth/token/create', { policies: ['default'] })
    return body.auth.client_token as string
  }
  const [spent, unspent] = [await issue('10.0.0.1'), await issue('10.0.0.2')]
  const [revoked, living] = [await token(), await token()]

  await ran(runPostern(['operator', 'backup', store, backup], {}))
  assert.equal((await api('PUT', 'ssh/verify', { otp: spent }, '')).status, 200)
  assert.equal((await api('PUT', 'auth/token/revoke', { token: revoked })).status, 204)
  await api('POST', 'ssh/roles/later', OTP_ROLE)
  assert.equal(await first.stop(), 0)
  await ran(runPostern(['operator', 'restore', store, backup], {}))

  const second = await site.start()
  const open = apiOf(second.address, '')
  assert.equal((await open('GET', 'sys/seal-status')).body.sealed, true)
  await open('PUT', 'sys/unseal', { key })
  for (const otp of [spent, unspent]) {
    const { status, body } = await open('PUT', 'ssh/verify', { otp })
    assert.deepEqual({ status, body }, { status: 400, body: { errors: ['OTP not found'] } })
  }
  for (const text of [revoked, living, root]) {
    const { status } = await open('GET', 'auth/token/lookup-self', undefined, text)
    assert.equal(status, 403)
  }

  const env = { POSTERN_ADDR: second.address }
  const generate = async (words: string[], input = '') =>
    JSON.parse(
      await ran(runPostern(['operator', 'generate-root', '-format=json', ...words], env, input)),
    )
  // The one share there is both starts it and ends it.
  const done = await generate(['-init', '-'], `${key}\n`)
  assert.equal(done.complete, true)
  const { token: made } = await generate([`-decode=${done.encoded_token}`, `-otp=${done.otp}`])
  const again = apiOf(second.address, made)
  assert.deepEqual((await again('GET', 'auth/token/lookup-self')).body.data.policies, ['root'])
  assert.deepEqual((await again('LIST', 'ssh/roles')).body.data.keys, ['otp'])
  assert.deepEqual((await again('GET', 'ssh/roles/otp')).body.data.cidr_list, OTP_ROLE.cidr_list)
})

test('protocols 1.10: a restored server does not open by itself, even with a static seal', async () => {
  const seal = 'seal "static" {\n  current_key_id = "k1"\n  current_key = "file://FOLDER/key"\n}'
  const key = 'ab'.repeat(32)
  await using site = makeSite({ lines: [seal], files: { key } })
  const [store, backup] = [path.join(site.folder, 'store.db'), path.join(site.folder, 'backup.db')]
  const first = await site.start()
  const { body } = await apiOf(first.address, '')('PUT', 'sys/init', {})
  assert.equal((await apiOf(first.address, body.root_token)('GET', 'sys/mounts')).status, 200)
  await ran(runPostern(['operator', 'backup', `-store=${store}`, backup], {}))
  assert.equal(await first.stop(), 0)
  await ran(runPostern(['operator', 'restore', '-keep-tokens', `-store=${store}`, backup], {}))

  const second = await site.start()
  const api = apiOf(second.address, body.root_token)
  assert.equal((await api('GET', 'sys/mounts')).status, 503)
  assert.equal((await api('PUT', 'sys/unseal', { key })).body.sealed, false)
  assert.equal((await api('GET', 'sys/mounts')).status, 200)
})
