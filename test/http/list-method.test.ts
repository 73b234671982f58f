import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import type { TcpListener } from '../../src/http/listener/listener.ts'
import { echo, head, type StartOptions, start } from './harness.ts'
import { firstCertificate } from './tls-material.ts'

const LIST = head('LIST /v1/ssh/roles', ['X-Vault-Token: root'])
const listed = { operation: 'list', path: 'ssh/roles/', data: {}, token: 'root' }
const GET = head('GET /v1/sys/health')
const got = { operation: 'read', path: 'sys/health', data: {} }
const POST = head('POST /v1/ssh/lookup', ['Content-Type: text/plain'], '{"ip":"10.0.0.1"}')
const posted = { operation: 'update', path: 'ssh/lookup', data: { ip: '10.0.0.1' } }
const SCAN = head('SCAN /v1/ssh/roles/')
const scanned = { operation: 'scan', path: 'ssh/roles/', data: {} }
const FOO = head('FOO /v1/sys/mounts', [], 'GET /v1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n')
const refused = { errors: [] }

const kinds: readonly [string, Partial<TcpListener>][] = [
  ['plain', {}],
  ['TLS', { tls: { load: () => firstCertificate } }],
]

for (const [kind, listener] of kinds) {
  const options: StartOptions = { listener }
  suite(`LIST over ${kind}`, () => {
    test('is a list, with its path ending in a slash and its query as data', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      await client.send(head('LIST /v1/ssh/roles?after=a&limit=2&list=maybe'))
      assert.deepEqual(await client.json(), {
        operation: 'list',
        path: 'ssh/roles/',
        data: { after: 'a', limit: '2' },
      })
    })

    test('with its head cut at every byte, twice on each connection', async (t) => {
      const started = await start(t, options)
      for (let cut = 1; cut < LIST.length; cut++) {
        const client = started.open()
        for (let round = 0; round < 2; round++) {
          await client.send(LIST.slice(0, cut), LIST.slice(cut))
          assert.deepEqual(await client.json(), listed, `cut at ${cut}, round ${round}`)
        }
        client.close()
      }
    })

    test('byte by byte after a GET, a SCAN and an unknown method', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      await client.send(...(GET + LIST + SCAN + FOO + LIST))
      for (const answer of [got, listed, scanned, refused, listed]) {
        assert.deepEqual(await client.json(), answer)
      }
    })

    test('after a GET, after a POST with a body, and kept alive three times', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      const rounds = [
        [GET, got],
        [LIST, listed],
        [POST, posted],
        [LIST, listed],
        [LIST, listed],
        [LIST, listed],
        [GET, got],
      ] as const
      for (const [request, answer] of rounds) {
        await client.send(request)
        assert.deepEqual(await client.json(), answer)
      }
    })

    test('in one packet with others, answers in their order', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      await client.send(GET + LIST + POST + LIST + LIST + FOO + SCAN + GET)
      for (const answer of [got, listed, posted, listed, listed, refused, scanned, got]) {
        assert.deepEqual(await client.json(), answer)
      }
    })

    test('waits for slow answers before it, and what comes meanwhile is kept', async (t) => {
      let release = () => {}
      const slow = new Promise<void>((resolve) => {
        release = resolve
      })
      const started = await start(t, {
        ...options,
        handle: async (request) => {
          if (request.path === 'sys/health') await slow
          return echo(request)
        },
      })
      const client = started.open()
      await client.send(POST + GET + LIST.slice(0, 3), LIST.slice(3), POST, LIST + GET.slice(0, 9))
      release()
      await client.send(GET.slice(9))
      for (const answer of [posted, got, listed, posted, listed, got]) {
        assert.deepEqual(await client.json(), answer)
      }
    })

    test('from a client that closes its half at once', async (t) => {
      const started = await start(t, options)
      const client = started.open()
      client.socket.end(GET + LIST + LIST)
      for (const answer of [got, listed, listed]) assert.deepEqual(await client.json(), answer)
      assert.equal(await client.end(), '')
    })

    test('the header limit holds, and half a method is cut off', async (t) => {
      const limits = { maxHeaderBytes: 2048, headersMilliseconds: 50, checkMilliseconds: 20 }
      const started = await start(t, { ...options, limits })
      const fits = started.open()
      await fits.send(head('LIST /v1/a', [`X-Long: ${'x'.repeat(1800)}`]))
      assert.equal((await fits.answer())?.status, 200)
      fits.close()
      const long = started.open()
      await long.send(head('LIST /v1/a', [`X-Long: ${'x'.repeat(2100)}`]))
      assert.equal((await long.answer())?.status, 431)
      await long.end()
      const half = started.open()
      await half.send('LIS')
      assert.equal(await half.end(), '')
      const unfinished = started.open()
      await unfinished.send('LIST /v1/a HTTP/1.1\r\nHost: ')
      assert.equal((await unfinished.answer())?.status, 408)
      await unfinished.end()
    })

    test('hundreds on one connection leave nothing behind on it', async (t) => {
      const warnings: string[] = []
      const note = (warning: Error) => warnings.push(warning.name)
      process.on('warning', note)
      t.after(() => process.off('warning', note))
      const started = await start(t, options)
      const client = started.open()
      await client.send(LIST.repeat(400))
      for (let i = 0; i < 400; i++) assert.deepEqual(await client.json(), listed)
      assert.deepEqual(warnings, [])
    })
  })
}

test('a close while earlier answers are open ends all', async (t) => {
  let entered = () => {}
  const inside = new Promise<void>((resolve) => {
    entered = resolve
  })
  const started = await start(t, {
    handle: () => {
      entered()
      return new Promise(() => {})
    },
  })
  const client = started.open()
  await client.send(GET + LIST)
  await inside
  await started.server.close(10)
  assert.equal(await client.end(), '')
})

test('letters of a body that look like a method are not taken into the next one', async (t) => {
  const started = await start(t)
  for (const body of ['{}L', '{}LI', '{}LIST', '{}S', '{}G', '{}FO']) {
    const client = started.open()
    await client.send(head('POST /v1/a', [], body) + LIST)
    assert.equal((await client.answer())?.status, 400)
    assert.deepEqual(await client.json(), listed)
    client.close()
  }
})

test('what is no HTTP is refused and closed', async (t) => {
  const started = await start(t)
  const junk = [
    '\x16\x03\x01\x02\x00',
    `${'X'.repeat(100)} / HTTP/1.1`,
    '\0\0\0',
    'LIST\r\n\r\n',
    '{"a":1}',
  ]
  for (const bytes of junk) {
    const client = started.open()
    await client.send(Buffer.from(bytes, 'latin1'))
    const answer = await client.answer()
    assert.equal(answer?.status, 400, JSON.stringify(bytes))
    assert.equal(answer.body, '{"errors":[]}\n')
    assert.equal(await client.end(), '')
  }
})

test('any mix of requests, cut anywhere, is answered in order', async (t) => {
  const started = await start(t)
  const requests = [
    [GET, got],
    [LIST, listed],
    [POST, posted],
    [SCAN, scanned],
    [FOO, refused],
  ] as const
  const mix = fc.array(fc.constantFrom(...requests), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(mix, fc.array(fc.nat(600), { maxLength: 6 }), async (sent, cuts) => {
      const text = sent.map(([request]) => request).join('')
      const places = [...new Set(cuts.map((cut) => cut % text.length))].sort((a, b) => a - b)
      const pieces = places.map((place, i) => text.slice(places[i - 1] ?? 0, place))
      const client = started.open()
      await client.send(...pieces.filter((piece) => piece !== ''), text.slice(places.at(-1) ?? 0))
      for (const [, answer] of sent) assert.deepEqual(await client.json(), answer)
      client.close()
    }),
    { numRuns: 80 },
  )
})
