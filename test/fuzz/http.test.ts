/** Heads and bodies over a socket: the core sees what `canonicalPath` and JSON say, or nothing (protocols 3.1, 3.2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Request } from '../../src/core/request/request.ts'
import { canonicalPath } from '../../src/mount/canonical.ts'
import { ask, head, start } from '../http/harness.ts'
import { fuzz } from './runs.ts'

const targetPiece = fc.oneof(
  fc.constantFrom('/', '/v1/', '/v1', '//', '/.', '/..', '.', '..', '?', '#', '%', '\\', ';', '&'),
  fc.constantFrom('%2f', '%2e', '%2E%2e', '%00', '%25', '%5c', '%c3%a9', '%ff', '%20', '%0a'),
  fc.constantFrom('ssh', 'sys', '__proto__', 'list=true', 'help=1', 'http://a', 'HTTPS://b:1'),
  fc.string({ unit: 'binary-ascii', maxLength: 2 }),
  fc.constantFrom('é', 'ÿ', '\x7f', '\t', '@', '*', '[::1]'),
)
const target = fc
  .array(targetPiece, { maxLength: 8 })
  .map((pieces) => `/v1/${pieces.join('')}`)
  .filter((text) => !/[ \r\n\0]/.test(text))

test('the core is handed the canonical path of the request line, or not asked at all', async (t) => {
  const seen: Request[] = []
  const started = await start(t, {
    handle: async (request) => {
      seen.push(request)
      return { kind: 'empty', status: 204 }
    },
  })
  await fc.assert(
    fc.asyncProperty(target, async (text) => {
      seen.length = 0
      const client = started.open()
      await client.send(Buffer.from(head(`POST ${text}`), 'latin1'))
      const answer = await client.answer()
      client.close()
      const expected = canonicalPath(text)
      assert.ok(answer, 'no answer')
      if (answer.status === 204) {
        assert.equal(expected.kind, 'path')
        assert.equal(seen[0]?.path, expected.kind === 'path' && expected.path)
        return
      }
      assert.deepEqual(seen, [])
      assert.ok(answer.status >= 300 && answer.status < 500, `${answer.status}`)
      if (expected.kind === 'redirect') {
        assert.ok([301, 307, 400].includes(answer.status), `${answer.status}`)
      }
    }),
    { ...fuzz(250), examples: [['/v1/%2e%2e/sys'], ['/v1/a?b#c'], ['/v1/..;/sys']] },
  )
  assert.deepEqual(started.log, [])
})

test('odd headers end in an answer, and the core sees small names and no control characters', async (t) => {
  const seen: Request[] = []
  const started = await start(t, {
    handle: async (request) => {
      seen.push(request)
      return { kind: 'empty', status: 204 }
    },
  })
  const name = fc.oneof(
    fc.constantFrom('X-Vault-Token', 'Authorization', 'X-Vault-Wrap-TTL', 'X-Vault-Request'),
    fc.constantFrom('Content-Type', 'X-Forwarded-For', '__proto__', 'constructor', 'Cookie'),
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 6 }),
  )
  const value = fc.oneof(
    fc.constantFrom('Bearer x', 'Bearer', '1h', '-1', '9'.repeat(400), '', 'application/json'),
    fc.string({ unit: 'binary-ascii', maxLength: 20 }),
    fc.constantFrom('é', '\x80', 'x'.repeat(4000)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 6 }), async (headers) => {
      seen.length = 0
      const lines = headers.map(([key, text]) => `${key}: ${text}`)
      const client = started.open()
      // What breaks the head may leave the server waiting for more: the end of the stream ends that.
      client.socket.end(Buffer.from(head('GET /v1/a', lines), 'latin1'))
      const answer = await client.answer()
      client.close()
      for (const request of seen) {
        for (const [key, text] of request.headers) {
          assert.match(key, /^[!-@[-~]+$/)
          assert.doesNotMatch(text, /[\0\r\n]/)
        }
        assert.doesNotMatch(request.token ?? '', /[\0\r\n]/)
      }
      if (answer) assert.ok(answer.status < 500, `${answer.status}`)
    }),
    fuzz(250),
  )
  assert.equal((await ask(started, 'GET /v1/a')).status, 204)
  assert.deepEqual(started.log, [])
})

const streamPiece = fc.oneof(
  fc.constantFrom(
    'GET ',
    'POST ',
    'PATCH ',
    'LIST ',
    'HEAD ',
    'FOO ',
    'CONNECT ',
    '/v1/a ',
    'a:1 ',
  ),
  fc.constantFrom('HTTP/1.1\r\n', 'HTTP/1.0\r\n', 'HTTP/2.0\r\n', 'HTTP/1.1\n', '\r\n', '\n', '\r'),
  fc.constantFrom('Host: a\r\n', 'Host: a\r\nHost: b\r\n', 'Connection: close\r\n', ': x\r\n'),
  fc.constantFrom('Connection: upgrade\r\nUpgrade: h2c\r\n', 'Expect: 100-continue\r\n'),
  fc.constantFrom('Content-Length: 5\r\n', 'Content-Length: -1\r\n', 'Content-Length: 5, 5\r\n'),
  fc.constantFrom('Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: x\r\n', '5\r\n{"a":'),
  fc.constantFrom('0\r\n\r\n', 'ffffffffffffffff\r\n', '5;x=y\r\n', '{"a":1}', '\0', '\xff'),
  fc.constantFrom(head('GET /v1/a'), head('LIST /v1/a'), head('POST /v1/a', [], '{"a":1}')),
)

test('any bytes end in answers below 500 and a closed connection', async (t) => {
  const started = await start(t)
  const packets = fc.array(fc.array(streamPiece, { maxLength: 12 }), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(packets, async (pieces) => {
      const client = started.open()
      await client.send(...pieces.map((parts) => Buffer.from(parts.join(''), 'latin1')))
      client.socket.end()
      const received = await client.end()
      for (const [, status] of received.matchAll(/^HTTP\/1\.1 (\d+)/gm)) {
        assert.ok(Number(status) < 500, received)
      }
    }),
    fuzz(250),
  )
  assert.equal((await ask(started, 'GET /v1/a')).status, 200)
  assert.deepEqual(started.log, [])
})

const edit = fc.record({
  at: fc.nat(),
  text: fc.constantFrom('', '{', '}', '[', ']', '"', ',', ':', '\\', '\\u', '\0', '1', 'ÿ'),
  drop: fc.nat(2),
})

test('JSON bodies, whole or damaged, in any pieces: the fields that JSON.parse gives, or 400', async (t) => {
  const seen: Request[] = []
  const started = await start(t, {
    handle: async (request) => {
      seen.push(request)
      return { kind: 'empty', status: 204 }
    },
  })
  const document = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 })
  const cuts = fc.array(fc.nat(), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      document,
      fc.array(edit, { maxLength: 2 }),
      cuts,
      fc.boolean(),
      async (value, edits, at, isChunked) => {
        seen.length = 0
        const text = edits.reduce((sofar, { at: where, text: piece, drop }) => {
          const place = where % (sofar.length + 1)
          return sofar.slice(0, place) + piece + sofar.slice(place + drop)
        }, JSON.stringify(value))
        const body = Buffer.from(text)
        const client = started.open()
        client.socket.write(bodyHead(body, isChunked))
        for (const piece of cutAt(body, at)) {
          await client.send(isChunked ? chunk(piece) : piece)
        }
        if (isChunked) await client.send('0\r\n\r\n')
        const answer = await client.answer()
        client.close()
        const expected = fieldsOf(body)
        assert.equal(answer?.status, expected ? 204 : 400, text)
        if (expected) assert.deepEqual([...(seen[0]?.data ?? [])], expected)
      },
    ),
    { ...fuzz(200), examples: [[{ ['__proto__']: 1 }, [], [3], true]] },
  )
  assert.deepEqual(started.log, [])
})

function bodyHead(body: Buffer, isChunked: boolean): string {
  const length = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
  const lines = ['POST /v1/a HTTP/1.1', 'Host: a', 'Content-Type: application/json', length]
  return `${lines.join('\r\n')}\r\n\r\n`
}

function cutAt(body: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % (body.length + 1)))].sort((a, b) => a - b)
  const ends = [...cuts, body.length]
  return ends
    .map((end, i) => body.subarray(ends[i - 1] ?? 0, end))
    .filter((piece) => piece.length > 0)
}

function chunk(piece: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`${piece.length.toString(16)}\r\n`),
    piece,
    Buffer.from('\r\n'),
  ])
}

/** What an obvious reader makes of a body; undefined for what is no JSON object. */
function fieldsOf(body: Buffer): [string, unknown][] | undefined {
  if (body.length === 0) return []
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (value === null) return []
    if (typeof value !== 'object' || Array.isArray(value)) return undefined
    return Object.entries(value)
  } catch {
    return undefined
  }
}
