import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { Envelope } from '../../src/core/request/response.ts'
import { encodeResponse, HSTS, send } from '../../src/http/encode.ts'

const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown }

const envelope: Envelope = {
  request_id: 'id',
  lease_id: '',
  renewable: false,
  lease_duration: 0,
  data: { 'sys/': { type: 'system' }, keys: ['a'] },
  wrap_info: null,
  warnings: null,
  auth: null,
}

test('an envelope is one line of JSON with all members', () => {
  const { body, contentType } = encodeResponse({
    kind: 'envelope',
    status: 200,
    envelope,
    topLevelCopy: false,
  })
  assert.equal(body, `${JSON.stringify(envelope)}\n`)
  assert.equal(contentType, 'application/json')
})

test('the top-level copy repeats the members of data, and none can replace one of the envelope', () => {
  const copied = (data: Envelope['data']) =>
    JSON.parse(
      encodeResponse({
        kind: 'envelope',
        status: 200,
        envelope: { ...envelope, data },
        topLevelCopy: true,
      }).body as string,
    )
  assert.deepEqual(copied(envelope.data), { ...envelope.data, ...envelope })
  assert.deepEqual(copied({}), { ...envelope, data: {} })
  assert.deepEqual(copied(null), { ...envelope, data: null })
  assert.equal(copied({ request_id: 'forged' }).request_id, 'id')
  const named = copied(JSON.parse('{"__proto__":1}'))
  assert.deepEqual(Object.keys(named).slice(0, 2), ['__proto__', 'request_id'])
})

test('trap 10: numbers keep the digits they were written with', () => {
  const data = { n: rawJson('12345678901234567890'), f: rawJson('1.10') }
  const { body } = encodeResponse({
    kind: 'envelope',
    status: 200,
    envelope: { ...envelope, data },
    topLevelCopy: true,
  })
  assert.equal((body as string).split('12345678901234567890').length, 3)
  assert.match(body as string, /"f":1\.10/)
})

test('bodies outside the envelope: text as it is, else JSON with a newline', () => {
  const text = encodeResponse({
    kind: 'bare',
    status: 200,
    body: 'ssh-ed25519 AAAA\n',
    contentType: 'text/plain',
  })
  assert.deepEqual(text, { status: 200, body: 'ssh-ed25519 AAAA\n', contentType: 'text/plain' })
  const json = encodeResponse({ kind: 'bare', status: 299, body: { sealed: false } })
  assert.deepEqual(json, {
    status: 299,
    body: '{"sealed":false}\n',
    contentType: 'application/json',
  })
  const plain = encodeResponse({ kind: 'text', status: 400, text: 'no', contentType: 'text/plain' })
  assert.deepEqual(plain, { status: 400, body: 'no', contentType: 'text/plain' })
})

test('bytes go out as they are, with headers that stand in the place of standard ones', () => {
  const sent = encodeResponse({
    kind: 'bytes',
    status: 200,
    bytes: Uint8Array.of(0, 255, 10),
    contentType: 'application/octet-stream',
    headers: [['Cache-Control', 'public, no-cache']],
  })
  const heads: unknown[] = []
  const bodies: unknown[] = []
  const response = {
    writeHead: (...head: unknown[]) => heads.push(head),
    end: (body?: unknown) => bodies.push(body),
  }
  send(response as unknown as ServerResponse, sent)
  assert.deepEqual(bodies, [Uint8Array.of(0, 255, 10)])
  assert.deepEqual(heads, [
    [
      200,
      [
        'Strict-Transport-Security',
        HSTS,
        'Cache-Control',
        'public, no-cache',
        'Content-Type',
        'application/octet-stream',
        'Content-Length',
        '3',
      ],
    ],
  ])
})
