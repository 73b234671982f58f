import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import type { TcpListener } from '../../src/http/listener/listener.ts'
import { ask, echo, head, type StartOptions, start } from './harness.ts'
import { firstCertificate } from './tls-material.ts'

const OFFER = ['Connection: keep-alive, Upgrade, HTTP2-Settings', 'Upgrade: h2c']
const GET = head('GET /v1/sys/health')
const GET_OFFER = head('GET /v1/ssh/roles/web', OFFER)
const LIST_OFFER = head('LIST /v1/ssh/roles', OFFER)
const POST_OFFER = head(
  'POST /v1/ssh/lookup',
  [...OFFER, 'Content-Type: text/plain'],
  '{"ip":"10.0.0.1"}',
)
const got = { operation: 'read', path: 'sys/health', data: {} }
const gotOffer = { operation: 'read', path: 'ssh/roles/web', data: {} }
const listed = { operation: 'list', path: 'ssh/roles/', data: {} }
const posted = { operation: 'update', path: 'ssh/lookup', data: { ip: '10.0.0.1' } }

const kinds: readonly [string, Partial<TcpListener>][] = [
  ['plain', {}],
  ['TLS', { tls: { load: () => firstCertificate } }],
]

for (const [kind, listener] of kinds) {
  const options: StartOptions = { listener }
  suite(`an offer to upgrade over ${kind} is declined by an answer`, () => {
    test('and what was sent behind it is answered in its order', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      await client.send(GET + GET_OFFER + POST_OFFER + GET + LIST_OFFER + LIST_OFFER + GET)
      for (const answer of [got, gotOffer, posted, got, listed, listed, got]) {
        assert.deepEqual(await client.json(), answer)
      }
      client.close()
    })

    test('byte by byte, and one after the other', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      await client.send(...(GET_OFFER + POST_OFFER + LIST_OFFER + GET))
      for (const answer of [gotOffer, posted, listed, got]) {
        assert.deepEqual(await client.json(), answer)
      }
      for (const [request, answer] of [
        [GET_OFFER, gotOffer],
        [POST_OFFER, posted],
        [GET, got],
      ] as const) {
        await client.send(request)
        assert.deepEqual(await client.json(), answer)
      }
      client.close()
    })

    test('and the connection ends where the client wants that', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      await client.send(head('GET /v1/a', ['Connection: close, upgrade', 'Upgrade: x']))
      const answer = await client.answer()
      assert.equal(answer?.status, 200)
      assert.equal(answer.headers.get('connection'), 'close')
      assert.equal(await client.end(), '')
    })
  })
}

test('HEAD and 100-continue with an offer are what they are without', async (t) => {
  const started = await start(t)
  const answer = await ask(started, 'HEAD /v1/sys/health', OFFER)
  assert.deepEqual([answer.status, answer.body], [200, ''])
  const client = started.open()
  const [first, body] = POST_OFFER.split('\r\n\r\n') as [string, string]
  await client.send(`${first}\r\nExpect: 100-continue\r\n\r\n`)
  assert.equal((await client.answer(false))?.status, 100)
  await client.send(body)
  assert.deepEqual(await client.json(), posted)
  client.close()
})

test('a client that resets its connection while its offer waits for an answer harms nobody', async (t) => {
  let goOn = () => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const asked: string[] = []
  const started = await start(t, {
    handle: async (request) => {
      asked.push(request.path)
      if (request.path === 'slow') await gate
      return echo(request)
    },
  })
  const client = started.open()
  await client.send(head('GET /v1/slow') + GET_OFFER)
  await ask(started, 'GET /v1/other')
  client.socket.resetAndDestroy()
  await once(client.socket, 'close')
  assert.equal((await ask(started, 'GET /v1/other')).status, 200)
  goOn()
  assert.equal((await ask(started, 'GET /v1/other')).status, 200)
  assert.deepEqual(asked, ['slow', 'other', 'other', 'other'])
  assert.deepEqual(started.log, [])
})
