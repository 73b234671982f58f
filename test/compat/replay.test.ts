/** The replayer itself, against a small server of the test's own: it maps values, and it notices. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { listedDifferences, pendingRecords } from './listed.ts'
import { type Answer, parseExact, type RecordedExchange, recordedExchanges } from './record.ts'
import { Replay } from './replay.ts'

const UUID = 'c7123f1a-df4e-5a39-e84f-8f4d1a3836f9'
const OTHER_UUID = '11111111-2222-3333-4444-555555555555'

let server: http.Server
let address: string
let seen: { method: string; url: string; headers: http.IncomingHttpHeaders; body: string }
let reply: Partial<Answer>

before(async () => {
  server = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    seen = { method: request.method!, url: request.url!, headers: request.headers, body }
    response.writeHead(reply.status ?? 200, {
      'content-type': 'application/json',
      ...reply.response_headers,
    })
    response.end(reply.response_body === null ? '' : JSON.stringify(reply.response_body))
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

after(() => {
  server.close()
})

function replayOf(table = ''): Replay {
  const page = `<!-- replayed differences -->\n${table}\n<!-- end of replayed differences -->`
  const options = { group: 'x', start: () => Promise.reject(new Error('not started here')) }
  return new Replay(options, { address, stop: async () => {} }, listedDifferences(page))
}

function record(change: Partial<RecordedExchange>): RecordedExchange {
  return {
    name: 'x.y',
    method: 'GET',
    path: '/v1/x',
    request_headers: {},
    request_body: null,
    status: 200,
    response_headers: { 'content-type': 'application/json' },
    response_body: null,
    ...change,
  }
}

/** What the replayer says about this recorded body when the server gives that one. */
async function problems(replay: Replay, recorded: unknown, live: unknown): Promise<string[]> {
  reply = { response_body: live }
  return await replay.replay(record({ response_body: recorded }))
}

test('an equal answer has no differences', async () => {
  const body = { data: { keys: ['a', 'b'], n: 1, none: null } }
  assert.deepEqual(await problems(replayOf(), body, body), [])
})

test('another status, another header, another value, a missing and an extra member are told', async () => {
  reply = {
    status: 500,
    response_headers: { 'content-type': 'application/json', 'cache-control': 'x' },
    response_body: { a: 2, extra: true },
  }
  const found = await replayOf().replay(record({ response_body: { a: 1, gone: 'x' } }))
  assert.deepEqual(found, [
    'status: 200 is recorded, the server gave 500',
    'header.cache-control: nothing is recorded, the server gave "x"',
    'body.a: 1 is recorded, the server gave 2',
    'body.gone: "x" is recorded, the server gave nothing',
    'body.extra: nothing is recorded, the server gave true',
    'the whole answer: 500 {"a":2,"extra":true}',
  ])
})

test('a value of the same shape is accepted, learned, and sent in place of the recorded one', async () => {
  const replay = replayOf()
  assert.deepEqual(
    await problems(replay, { data: { key: UUID } }, { data: { key: OTHER_UUID } }),
    [],
  )
  reply = { response_body: {} }
  await replay.replay(
    record({
      method: 'PUT',
      path: `/v1/x/${UUID}`,
      request_headers: { 'X-Vault-Token': UUID },
      request_body: { otp: UUID, list: [UUID] },
    }),
  )
  assert.equal(seen.url, `/v1/x/${OTHER_UUID}`)
  assert.equal(seen.headers['x-vault-token'], OTHER_UUID)
  assert.deepEqual(JSON.parse(seen.body), { otp: OTHER_UUID, list: [OTHER_UUID] })
})

test('a value that was learned has to stay the same', async () => {
  const replay = replayOf()
  await problems(replay, { id: UUID }, { id: OTHER_UUID })
  assert.equal((await problems(replay, { id: UUID }, { id: UUID.replace('c', 'd') })).length, 2)
})

test('a value of another shape is a difference', async () => {
  for (const [recorded, live] of [
    [UUID, 'c7123f1a'],
    ['ssh/creds/otp1/wYSRNbNOwrxnafgVLbK2mXGi', 'ssh/creds/otp2/olmOJByYRci0fjZlJLtvudiL'],
    ['s.MpN1bUWvxycwInSvswWmYpxT', 'hvs.MpN1bUWvxycwInSvswWmYpxT'],
    ['2026-11-22T17:01:47.750537883Z', '2026-11-22 17:01:47'],
    ['ssh_e9f5df04', 'token_e9f5df04'],
    ['ssh-ed25519 AAAAC3Nz\n', 'ssh-ed25519 BBBBC3Nz'],
  ]) {
    const [first] = await problems(replayOf(), { v: recorded }, { v: live })
    assert.match(first ?? '', /^body\.v: /, `${recorded} and ${live}`)
  }
})

test('an id inside a sentence, in a list sorted by id, or as a member name is followed', async () => {
  const replay = replayOf()
  const [a, b] = [UUID, UUID.replace('c', 'd')]
  const [liveA, liveB] = [OTHER_UUID, OTHER_UUID.replace('1', '0')]
  assert.deepEqual(
    await problems(replay, { w: `made ${a} and ${b}.` }, { w: `made ${liveA} and ${liveB}.` }),
    [],
  )
  assert.deepEqual(await problems(replay, { keys: [a, b] }, { keys: [liveB, liveA] }), [])
  assert.equal((await problems(replay, { keys: [a, b] }, { keys: [liveA, liveB] })).length, 2)
  assert.deepEqual(await problems(replay, { info: { [a]: 1 } }, { info: { [liveA]: 1 } }), [])
})

test('a text that a request gave is not exchanged for another of its shape', async () => {
  const replay = replayOf()
  reply = { response_body: { key: OTHER_UUID } }
  const found = await replay.replay(
    record({ method: 'PUT', request_body: { key: UUID }, response_body: { key: UUID } }),
  )
  assert.equal(found.length, 2)
})

test('two runs of one certificate agree, and a changed principal is told', async () => {
  const names = ['ssh.ca.sign.users.ok', 'ssh.ca.sign.users.spaces']
  const [first, second] = names.map(
    (name) => recordedExchanges().find((candidate) => candidate.name === name)!.response_body.data,
  )
  assert.deepEqual(await problems(replayOf(), { data: first }, { data: first }), [])
  const found = await problems(replayOf(), { data: first }, { data: second })
  assert.deepEqual(found.slice(0, -1), [
    'body.data.signed_key.principals: ["alice","bob"] is recorded, the server gave ["bob","carol"]',
  ])
})

test('a listed difference passes, with its value only; one that is gone is found', async () => {
  const replay = replayOf(
    '| `x.y` | `status` | `400` | because | nobody |\n| `x.*` | `body.v` | `/^"1\\.\\d+"$/` | because | nobody |',
  )
  reply = { status: 400, response_body: { v: '1.15' } }
  assert.deepEqual(await replay.replay(record({ response_body: { v: '2' } })), [])
  assert.deepEqual(replay.unusedRows(), [])
  reply = { status: 404, response_body: { v: '3' } }
  assert.equal((await replay.replay(record({ response_body: { v: '2' } }))).length, 3)

  const stale = replayOf('| `x.y` | `answer` | `400 {"v":1}` | because | nobody |')
  assert.deepEqual(await problems(stale, { v: 1 }, { v: 1 }), [])
  assert.deepEqual(
    stale.unusedRows().map(({ where }) => where),
    ['answer'],
  )
})

test('methods, paths and bodies go out as recorded', async () => {
  const big = parseExact('{"n": 12345678901234567890}')
  reply = { response_body: big }
  const request = {
    method: 'PROPFIND',
    path: '/v1/a/../b//c',
    request_body: big,
    response_body: big,
  }
  assert.deepEqual(await replayOf().replay(record(request)), [])
  assert.deepEqual([seen.method, seen.url], ['PROPFIND', '/v1/a/../b//c'])
  assert.equal(seen.body, '{"n":12345678901234567890}')
})

test('the list of pending records counts what is there', () => {
  assert.ok(pendingRecords().length > 0)
})

test('docs/compat.md can be read', () => {
  assert.ok(listedDifferences().length > 10)
})
