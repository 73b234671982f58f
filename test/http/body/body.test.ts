import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPatchType, decodeBody } from '../../../src/http/body/body.ts'
import { ask, head, start } from '../harness.ts'

const FORM = 'application/x-www-form-urlencoded'

function fields(text: string, contentType?: string): [string, unknown][] {
  return [...decodeBody(Buffer.from(text), contentType).fields]
}

test('a form is a form only when it does not begin like JSON: curl -d sends JSON as one', () => {
  assert.deepEqual(fields('policy=path+%22a%22&x=1&x=2', FORM), [
    ['policy', 'path "a"'],
    ['x', '1,2'],
  ])
  assert.deepEqual(fields(' \r\n{"a":1}', FORM), [['a', 1]])
  assert.deepEqual(fields('a=1\n', `${FORM.toUpperCase()}; charset=utf-8`), [['a', '1']])
  assert.throws(() => fields('[1]', FORM), /cannot unmarshal array/)
  for (const type of [undefined, 'text/plain', 'multipart/form-data', 'application/json']) {
    assert.deepEqual(fields('{"a":1}', type), [['a', 1]])
    assert.throws(() => fields('a=1', type), /failed to decode JSON input/)
  }
})

test('an empty body has no fields; only JSON keeps its text', () => {
  assert.deepEqual(fields(''), [])
  assert.deepEqual(fields(' \n', FORM), [])
  assert.equal(decodeBody(Buffer.from('{"n":1.10}'), undefined).text, '{"n":1.10}')
  assert.equal(decodeBody(Buffer.from('a=1'), FORM).text, undefined)
})

test('a PATCH is JSON Merge Patch, as recorded in http.patch.*', () => {
  checkPatchType('application/merge-patch+json')
  checkPatchType('application/merge-patch+json; charset=utf-8')
  for (const type of [undefined, '', ' ;charset=utf-8']) {
    assert.throws(() => checkPatchType(type), { status: 400, message: 'mime: no media type' })
  }
  assert.throws(() => checkPatchType('application/json; charset=utf-8'), {
    status: 415,
    message:
      'PATCH requires Content-Type of application/merge-patch+json, provided application/json',
  })
})

test('a body over the limit is answered as recorded in http.body.toolarge', async (t) => {
  const started = await start(t)
  const big = Buffer.alloc(33 * 1024 * 1024, 'a')
  const framings = [
    head('PUT /v1/a', [`Content-Length: ${big.length}`]),
    `${head('PUT /v1/a', ['Transfer-Encoding: chunked'])}${big.length.toString(16)}\r\n`,
  ]
  for (const framing of framings) {
    const client = started.open()
    await client.send(framing, big, framing.includes('chunked') ? '\r\n0\r\n\r\n' : '')
    const answer = await client.answer()
    assert.equal(answer?.status, 413)
    assert.equal(answer.body, '{"errors":["http: request body too large"]}\n')
    assert.equal(answer.headers.get('connection'), 'close')
    assert.equal(answer.headers.get('content-type'), 'application/json')
    assert.equal(await client.end(), '')
  }
})

test('a body of exactly the limit passes, one byte more does not', async (t) => {
  const started = await start(t, { limits: { maxBodyBytes: 100 } })
  const body = (bytes: number) => `{"a":"${'x'.repeat(bytes - 8)}"}`
  assert.equal((await ask(started, 'PUT /v1/a', [], body(100))).status, 200)
  assert.equal((await ask(started, 'PUT /v1/a', [], body(101))).status, 413)
})

test('Expect: 100-continue is answered before the body, and 413 instead of it', async (t) => {
  const started = await start(t, { limits: { maxBodyBytes: 100 } })
  const expect = 'Expect: 100-continue'
  const client = started.open()
  await client.send(head('PUT /v1/a', [expect, 'Content-Length: 7']))
  assert.equal((await client.answer())?.status, 100)
  await client.send('{"a":1}')
  assert.equal((await client.answer())?.status, 200)
  await client.send(head('PUT /v1/a', [expect, 'Content-Length: 101']))
  assert.equal((await client.answer())?.status, 413)
  assert.equal(await client.end(), '')
  const refused = started.open()
  await refused.send(head('PUT /v1/a/', [expect, 'Content-Length: 7']))
  const answer = await refused.answer()
  assert.equal(answer?.status, 400)
  assert.equal(answer.headers.get('connection'), 'close')
  await refused.end()
})

test('CVE-2024-8185: bodies that unfinished requests hold are bounded together, and given back', async (t) => {
  const started = await start(t, { limits: { maxHeldBodyBytes: 1000 } })
  const holders = Array.from({ length: 3 }, () => started.open())
  for (const holder of holders) {
    await holder.send(head('PUT /v1/a', ['Content-Length: 300']), '{'.padEnd(299))
  }
  assert.equal((await ask(started, 'PUT /v1/a', [], '{}'.padEnd(400))).status, 503)
  assert.equal((await ask(started, 'PUT /v1/a', [], '{}'.padEnd(90))).status, 200)
  await holders[0]?.send('}')
  assert.equal((await holders[0]?.answer())?.status, 200)
  assert.equal((await ask(started, 'PUT /v1/a', [], '{}'.padEnd(300))).status, 200)
  for (const holder of holders) holder.close()
  await started.open().send('')
  for (let round = 0; round < 20; round++) {
    assert.ok([200, 503].includes((await ask(started, 'PUT /v1/a', [], '{}')).status))
  }
  assert.equal((await ask(started, 'PUT /v1/a', [], '{}'.padEnd(1000))).status, 200)
})

test('CVE-2024-8185: bodies that never end keep smaller ones out no longer than it takes to drop one', async (t) => {
  const started = await start(t, { limits: { maxHeldBodyBytes: 1000 } })
  const small = started.open()
  await small.send(head('PUT /v1/a', ['Content-Length: 50']), '{'.padEnd(49))
  const [first, second] = [started.open(), started.open()]
  await first.send(head('PUT /v1/a', ['Content-Length: 480']), '{'.padEnd(479))
  await second.send(head('PUT /v1/a', ['Content-Length: 470']), '{'.padEnd(469))
  assert.equal((await ask(started, 'PUT /v1/a', [], '{}'.padEnd(400))).status, 200)
  await first.send('}')
  assert.equal((await first.answer())?.status, 503)
  for (const client of [small, second]) {
    await client.send('}')
    assert.equal((await client.answer())?.status, 200)
  }
})

test('a client that leaves in the middle of its body reaches no core and leaves no error', async (t) => {
  let calls = 0
  const started = await start(t, {
    handle: async () => {
      calls++
      return { kind: 'empty', status: 204 }
    },
  })
  const client = started.open()
  await client.send(head('PUT /v1/a', ['Content-Length: 100']), '{"a":')
  client.close()
  await client.end()
  assert.equal((await ask(started, 'PUT /v1/a', [], '{}')).status, 204)
  assert.equal(calls, 1)
  assert.deepEqual(started.log, [])
})

test('GET and DELETE ignore their bodies, and the connection goes on', async (t) => {
  const started = await start(t)
  const client = started.open()
  for (const method of ['GET', 'DELETE', 'LIST'] as const) {
    await client.send(head(`${method} /v1/a`, [], '{not json'))
    const answer = (await client.json()) as { data: unknown }
    assert.deepEqual(answer.data, {})
  }
})
