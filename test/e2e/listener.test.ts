/** Listeners of a running server: a socket file, and a proxy in front. */
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { suite, test } from 'node:test'
import { runPostern } from '../support/cli.ts'
import { initialize, makeSite } from '../support/site.ts'

const UNKNOWN_OTP = '00000000-0000-4000-8000-000000000000'

suite('a unix listener', () => {
  for (const [lines, mode] of [
    [[], 0o600],
    [['socket_mode = "0660"'], 0o660],
  ] as const) {
    test(`serves the CLI; its socket has mode ${mode.toString(8)} and goes with the server`, async () => {
      await using site = makeSite({
        lines: ['listener "unix" {', '  address = "FOLDER/postern.sock"', ...lines, '}'],
      })
      const socket = path.join(site.folder, 'postern.sock')
      const server = await site.start()
      const { root } = await initialize(server.address)
      assert.equal(statSync(socket).mode & 0o777, mode)
      assert.match(server.output(), new RegExp(`API address: unix://${socket}\n`))
      const env = { POSTERN_ADDR: `unix://${socket}`, POSTERN_TOKEN: root }
      const status = await runPostern(['status'], env)
      assert.equal(status.status, 0, status.errors)
      assert.match(status.output, /Sealed\s+false/)
      const enabled = await runPostern(['secrets', 'enable', 'ssh'], env)
      assert.equal(enabled.status, 0, enabled.errors)
      const list = await runPostern(['secrets', 'list'], env)
      assert.match(list.output, /^ssh\/\s+ssh\s/m)
      const stranger = await runPostern(['secrets', 'list'], { ...env, POSTERN_TOKEN: 's.x' })
      assert.notEqual(stranger.status, 0)
      assert.equal(await server.stop(), 0)
      assert.equal(existsSync(socket), false)
    })
  }
})

suite('protocols 3.4: behind a proxy', () => {
  const misses = async (address: string, client: string | undefined, times: number) => {
    const statuses: number[] = []
    for (let i = 0; i < times; i++) {
      const answer = await fetch(`${address}/v1/ssh/verify`, {
        method: 'PUT',
        headers: client === undefined ? {} : { 'X-Forwarded-For': client },
        body: JSON.stringify({ otp: UNKNOWN_OTP }),
      })
      await answer.arrayBuffer()
      statuses.push(answer.status)
    }
    return statuses
  }
  const limit = 'miss_limit {\n  rate = 0.001\n  burst = 5\n}'

  test('a client that misses too often is limited, and another one is not', async () => {
    await using site = makeSite({
      listener: [
        'tls_disable = true',
        'x_forwarded_for_authorized_addrs = "127.0.0.1/32"',
        'x_forwarded_for_reject_not_present = false',
      ],
      lines: [limit],
    })
    const { address } = await site.start()
    const { api } = await initialize(address)
    await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
    const one = await misses(address, '198.51.100.1', 8)
    assert.deepEqual(one.slice(0, 5), [400, 400, 400, 400, 400])
    assert.equal(one.at(-1), 429, one.join(' '))
    assert.deepEqual(await misses(address, '198.51.100.2', 2), [400, 400])
    // What a client writes in front is not what the proxy saw.
    assert.deepEqual(await misses(address, '198.51.100.3, 198.51.100.1', 1), [429])
  })

  test('that nobody named, the header changes nothing', async () => {
    await using site = makeSite({ lines: [limit] })
    const { address } = await site.start()
    const { api } = await initialize(address)
    await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
    assert.equal((await misses(address, '198.51.100.1', 8)).at(-1), 429)
    assert.deepEqual(await misses(address, '198.51.100.2', 1), [429])
  })
})
