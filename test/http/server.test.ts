import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import { ask, Client, echo, head, start } from './harness.ts'
import { firstCertificate } from './tls-material.ts'

test('malformed requests are refused with 400 and the connection closed', async (t) => {
  const started = await start(t)
  const malformed = [
    'GET /v1/a HTTP/9.9\r\n\r\n',
    'GET  HTTP/1.1\r\n\r\n',
    'GET /v1/a HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n',
    'GET /v1/a HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n',
    'POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n',
    'POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'POST /v1/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  ]
  for (const text of malformed) {
    const client = started.open()
    await client.send(text)
    const answer = await client.answer()
    assert.equal(answer?.status, 400, JSON.stringify(text))
    assert.equal(answer.body, '{"errors":[]}\n')
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    assert.equal(await client.end(), '')
  }
  const ancient = started.open()
  await ancient.send('GET /v1/a\r\n\r\n')
  assert.equal((await ancient.answer())?.status, 400)
  assert.equal((await ask(started, 'GET /v1/a')).status, 200)
})

test('a malformed request after good ones is refused after their answers', async (t) => {
  const started = await start(t)
  const client = started.open()
  await client.send(`${head('GET /v1/a')}${head('LIST /v1/b')}GET bad\r\n\r\n`)
  assert.deepEqual(await client.json(), { operation: 'read', path: 'a', data: {} })
  assert.deepEqual(await client.json(), { operation: 'list', path: 'b/', data: {} })
  assert.equal((await client.answer())?.status, 400)
  assert.equal(await client.end(), '')
})

test('requests of one connection are carried out one after the other, none behind the last answer', async (t) => {
  const log: string[] = []
  const started = await start(t, {
    handle: async (request) => {
      log.push(`+${request.path}`)
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      log.push(`-${request.path}`)
      return echo(request)
    },
  })
  const client = started.open()
  const close = head('POST /v1/c', ['Connection: close'], '{"a":1}')
  await client.send(head('GET /v1/a') + head('LIST /v1/b') + close + head('GET /v1/d'))
  for (const path of ['a', 'b/', 'c']) {
    assert.equal(((await client.json()) as { path: string }).path, path)
  }
  assert.equal(await client.end(), '')
  assert.deepEqual(log, ['+a', '-a', '+b/', '-b/', '+c', '-c'])
})

test('headers over the limit are refused with 431', async (t) => {
  const started = await start(t)
  const fits = await ask(started, 'GET /v1/a', [`X-Long: ${'x'.repeat(30_000)}`])
  assert.equal(fits.status, 200)
  const client = started.open()
  await client.send(head('GET /v1/a', [`X-Long: ${'x'.repeat(33_000)}`]))
  assert.equal((await client.answer())?.status, 431)
  await client.end()
})

test('a client that is slow with its head or its body is answered with 408', async (t) => {
  const started = await start(t, {
    limits: {
      headersMilliseconds: 40,
      bodyMilliseconds: 80,
      requestMilliseconds: 80,
      checkMilliseconds: 20,
    },
  })
  for (const part of ['GET /v1/a HT', head('PUT /v1/a', ['Content-Length: 9'])]) {
    const client = started.open()
    await client.send(part)
    const answer = await client.answer()
    assert.equal(answer?.status, 408)
    assert.equal(answer.body, '{"errors":[]}\n')
    assert.equal(await client.end(), '')
  }
  const silent = started.open()
  assert.equal(
    await silent.end().then((text) => text.split('\r\n')[0]),
    'HTTP/1.1 408 Request Timeout',
  )
})

test('a client may send a hundred requests ahead of an answer, and no more', async (t) => {
  const { promise: held, resolve } = Promise.withResolvers<void>()
  let asked = 0
  const started = await start(t, {
    handle: async () => {
      asked++
      await held
      return { kind: 'empty', status: 204 }
    },
  })
  const patient = started.open()
  await patient.send(head('GET /v1/a').repeat(101))
  const greedy = started.open()
  await greedy.send(head('GET /v1/a').repeat(102))
  assert.equal(await greedy.end(), '')
  resolve()
  for (let i = 0; i < 101; i++) assert.equal((await patient.answer())?.status, 204)
  assert.equal(asked, 102)
})

test('the time for a whole request may be shorter than that for its head, and need not be whole', async (t) => {
  const limits = { headersMilliseconds: 10_000, bodyMilliseconds: 80.5, checkMilliseconds: 20 }
  const client = (await start(t, { limits })).open()
  await client.send('GET /v1/a HT')
  assert.equal((await client.answer())?.status, 408)
})

test('a core that does not answer in time is answered for with 503', async (t) => {
  let finish = () => {}
  const started = await start(t, {
    handle: async () => {
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      return { kind: 'empty', status: 204 }
    },
    limits: {
      bodyMilliseconds: 50,
      requestMilliseconds: 50,
      headersMilliseconds: 40,
      checkMilliseconds: 20,
    },
  })
  for (const line of ['GET /v1/a', 'LIST /v1/a']) {
    const client = started.open()
    await client.send(head(line))
    const answer = await client.answer()
    assert.equal(answer?.status, 503)
    assert.equal(answer.body, '{"errors":["the request took too long"]}\n')
    finish()
    assert.equal(await client.end(), '')
  }
  assert.deepEqual(started.log, [])
})

test('an idle connection is kept, then closed', async (t) => {
  const started = await start(t, { limits: { keepAliveMilliseconds: 30 } })
  const client = started.open()
  for (const line of ['GET /v1/a', 'LIST /v1/a', 'GET /v1/a']) {
    await client.send(head(line))
    assert.equal((await client.answer())?.status, 200)
  }
  assert.equal(await client.end(), '')
})

test('closing lets requests in flight finish and cuts idle connections', async (t) => {
  let release = () => {}
  let entered = () => {}
  const inside = new Promise<void>((resolve) => {
    entered = resolve
  })
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const started = await start(t, {
    handle: async ({ path }) => {
      if (path === 'slow/') {
        entered()
        await gate
      }
      return { kind: 'bare', status: 200, body: { path } }
    },
  })
  const [idle, silent, busy] = [started.open(), started.open(), started.open()]
  await idle.send(head('GET /v1/a'))
  await idle.answer()
  await busy.send(head('LIST /v1/slow'))
  await inside
  const closed = started.server.close(10_000)
  assert.equal(await idle.end(), '')
  assert.equal(await silent.end(), '')
  const late = started.open()
  assert.equal(await late.end(), '')
  release()
  const answer = await busy.answer()
  assert.equal(answer?.body, '{"path":"slow/"}\n')
  assert.equal(answer.headers.get('connection'), 'close')
  await closed
})

test('closing cuts a TLS handshake that does not go on', async (t) => {
  const tls = { load: () => firstCertificate, minVersion: 'TLSv1.2' as const }
  const listener = { tls: { ...tls, requireClientCertificate: false } }
  const { server, port } = await start(t, { listener })
  const client = new Client(connect(port, '127.0.0.1'))
  // A record's head that announces a hello, which never comes.
  await client.send(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
  // Accepted after it, so that the first one is known to the server.
  const other = new Client(
    connectTls({ port, host: '127.0.0.1', ca: firstCertificate.certificate }),
  )
  await other.send(head('GET /v1/sys/health'))
  assert.equal((await other.answer())?.status, 200)
  other.close()
  const startedAt = performance.now()
  await server.close(30_000)
  assert.ok(performance.now() - startedAt < 5000, 'the handshake was waited for')
  assert.equal(await client.end(), '')
})

test('closing cuts what has not finished when the grace is over', async (t) => {
  const started = await start(t, { handle: () => new Promise(() => {}) })
  const client = started.open()
  await client.send(head('GET /v1/a'))
  await started.server.close(20)
  assert.equal(await client.end(), '')
})

test('no bytes on a connection keep the server from answering the next', async (t) => {
  const started = await start(t)
  const piece = fc.constantFrom(
    ...[
      'GET ',
      'LIST ',
      'POST ',
      'SCAN',
      '/v1/',
      '%',
      '..',
      ' HTTP/1.1\r\n',
      'Host: a\r\n',
      '\r\n',
      '\r\n\r\n',
    ],
    ...[
      'Content-Length: 3\r\n',
      'Transfer-Encoding: chunked\r\n',
      '5\r\n',
      '0\r\n\r\n',
      '{"',
      '?list=',
      '\0',
      'ÿ',
    ],
    ...[
      'X-Vault-Token: é\r\n',
      'X-Vault-Namespace: ÿ\r\n',
      'Expect: 100-continue\r\n',
      'Expect: x\r\n',
      'L',
      'I',
    ],
    ...[
      'Connection: close\r\n',
      'Connection: upgrade\r\nUpgrade: h2c\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'S',
    ],
  )
  const stream = fc.array(fc.array(piece, { maxLength: 12 }), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(stream, async (pieces) => {
      const client = started.open()
      await client.send(...pieces.map((parts) => Buffer.from(parts.join(''), 'latin1')))
      client.close()
      assert.equal((await ask(started, 'LIST /v1/a')).status, 200)
    }),
    { numRuns: 80 },
  )
  assert.deepEqual(started.log, [])
})
