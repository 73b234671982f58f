/** `sys/metrics` over HTTP (contract 2.1): its two formats, and who may read it. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Api } from '../support/api.ts'
import { initialize, makeSite } from '../support/site.ts'

interface Text {
  readonly status: number
  readonly type: string | null
  readonly text: string
}

async function get(address: string, query: string, token = ''): Promise<Text> {
  const headers = token === '' ? {} : { 'X-Vault-Token': token }
  const answer = await fetch(`${address}/v1/sys/metrics${query}`, { headers })
  const type = answer.headers.get('content-type')
  return { status: answer.status, type, text: await answer.text() }
}

suite('metrics', () => {
  const resources = new AsyncDisposableStack()
  let address: string
  let root: string
  let api: Api

  before(async () => {
    const site = resources.use(makeSite())
    address = (await site.start()).address
    ;({ root, api } = await initialize(address))
  })

  after(() => resources.disposeAsync())

  test('as JSON are gauges and counters', async () => {
    await api('GET', 'sys/mounts')
    const { status, text } = await get(address, '', root)
    assert.equal(status, 200)
    const { Gauges, Counters, Timestamp } = JSON.parse(text)
    assert.match(Timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC$/)
    const values = new Map(
      Gauges.map((gauge: { Name: string; Value: number }) => [gauge.Name, gauge.Value]),
    )
    assert.equal(values.get('postern.core.active'), 1)
    assert.equal(values.get('postern.core.in_flight_requests'), 1)
    assert.ok((values.get('postern.runtime.resident_bytes') as number) > 1_000_000)
    assert.ok(Counters.length > 0)
  })

  test('for Prometheus are counted by status', async () => {
    const count = async () => {
      const { status, type, text } = await get(address, '?format=prometheus', root)
      assert.equal(status, 200)
      assert.match(type ?? '', /^text\/plain; version=0\.0\.4/)
      assert.match(text, /^postern_unsealed 1$/m)
      assert.match(text, /^process_resident_memory_bytes \d+$/m)
      return Number(/^postern_requests_total\{code="404"\} (\d+)$/m.exec(text)?.[1] ?? 0)
    }
    const before = await count()
    await api('GET', 'sys/policies/acl/none')
    await api('GET', 'sys/policies/acl/none')
    assert.equal(await count(), before + 2)
  })

  test('in an unknown format are a 400 in plain text', async () => {
    const { status, type, text } = await get(address, '?format=xml', root)
    assert.equal(status, 400)
    assert.match(type ?? '', /^text\/plain/)
    assert.match(text, /format "xml" unknown/)
  })

  test('are a 403 without a token that may read them', async () => {
    const { body } = await api('POST', 'auth/token/create', { policies: ['default'] })
    for (const token of ['', 's.nosuch', body.auth.client_token]) {
      for (const query of ['', '?format=prometheus']) {
        const { status, text } = await get(address, query, token)
        assert.equal(status, 403, text)
        assert.doesNotMatch(text, /postern/)
      }
    }
    const policy = 'path "sys/metrics" { capabilities = ["read"] }'
    await api('PUT', 'sys/policies/acl/monitor', { policy })
    const monitor = await api('POST', 'auth/token/create', { policies: ['monitor'] })
    assert.equal((await get(address, '', monitor.body.auth.client_token)).status, 200)
  })
})

test('a listener with unauthenticated_metrics_access gives metrics, and nothing else, to anybody', async () => {
  await using site = makeSite({
    listener: ['tls_disable = true', 'telemetry { unauthenticated_metrics_access = true }'],
  })
  const { address } = await site.start()
  await initialize(address)
  assert.equal((await get(address, '')).status, 200)
  assert.match((await get(address, '?format=prometheus')).text, /^postern_unsealed 1$/m)
  assert.equal((await fetch(`${address}/v1/sys/mounts`)).status, 403)
})
