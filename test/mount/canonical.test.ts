import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalPath, encodePath } from '../../src/mount/canonical.ts'
import { fuzz } from '../fuzz/runs.ts'

function pathOf(target: string): string | undefined {
  const result = canonicalPath(target)
  return result.kind === 'path' ? result.path : undefined
}

test('a plain path loses /v1/ and keeps its case and its last slash', () => {
  assert.deepEqual(canonicalPath('/v1/ssh/roles/Web?list=true&a=%2F'), {
    kind: 'path',
    path: 'ssh/roles/Web',
    query: 'list=true&a=%2F',
  })
  assert.equal(pathOf('/v1/ssh/roles/'), 'ssh/roles/')
  assert.equal(pathOf('/v1/'), '')
  assert.equal(pathOf('/v1/a?'), 'a')
})

test('a path is decoded once', () => {
  assert.equal(pathOf('/v1/ssh/roles/a%20b'), 'ssh/roles/a b')
  assert.equal(pathOf('/v1/cubbyhole/%C3%A9'), 'cubbyhole/é')
  assert.equal(pathOf('/v1/a..b/.c/d.'), 'a..b/.c/d.')
  assert.equal(pathOf('/v1/a%3Fb%23c'), 'a?b#c')
})

test('what could be read in two ways is refused', () => {
  const refused = [
    '/v1/a%2fb',
    '/v1/a%2Fb',
    '/v1/a%00',
    '/v1/a%5cb',
    '/v1/a\\b',
    '/v1/a%252fb',
    '/v1/a%25',
    '/v1/a%',
    '/v1/a%zz',
    '/v1/a%ff',
    '/v1/a%c0%af',
    '/v1/a%ed%a0%80',
    '/v1/a%0a',
    '/v1/a%7f',
    '/v1/a%C2%A0b',
    '/v1/a%E2%80%8Bb',
    '/v1/a%E2%80%AEb',
    '/v1/a\u0000',
    '/v1/é',
    '/v1/a#b',
    '*',
    '',
    'v1/a',
    'ftp://h/v1/a',
  ]
  for (const target of refused) assert.equal(canonicalPath(target).kind, 'invalid', target)
})

test('a dot segment that survives decoding is refused with the text that clients know', () => {
  for (const target of ['/v1/a/%2e%2e/b', '/v1/a/.%2E', '/v1/%2e/a', '/%2e%2e/v1/a']) {
    const result = canonicalPath(target)
    assert.equal(result.kind === 'invalid' && result.message, 'relative paths not supported')
  }
})

test('empty and dot segments are answered with a redirect to the cleaned path', () => {
  const cases = [
    ['/v1/sys/../sys/mounts', '/v1/sys/mounts'],
    ['/v1/sys//mounts', '/v1/sys/mounts'],
    ['/v1//sys/policies/acl/x', '/v1/sys/policies/acl/x'],
    ['/v1/sys/./mounts/?list=true', '/v1/sys/mounts/?list=true'],
    ['/v1/a/..', '/v1'],
    ['/v1/a/.', '/v1/a'],
    ['/v1/a/..?x=1', '/v1?x=1'],
    ['/v1/a//', '/v1/a/'],
    ['/../../etc', '/etc'],
    ['//', '/'],
    ['//evil.example/v1/', '/evil.example/v1/'],
    ['///evil.example', '/evil.example'],
    ['/v1/a%20b//c', '/v1/a%20b/c'],
  ] as const
  for (const [target, location] of cases) {
    assert.deepEqual(canonicalPath(target), { kind: 'redirect', location }, target)
  }
})

test('what is not below /v1/ is outside', () => {
  for (const path of ['/', '/ui/', '/foo', '/v1', '/v10/a', '/robots.txt', '/V1/sys']) {
    assert.deepEqual(canonicalPath(path), { kind: 'outside', path })
  }
})

test('the absolute form names the same path', () => {
  assert.equal(pathOf('http://box:8200/v1/sys/health'), 'sys/health')
  assert.deepEqual(canonicalPath('https://box'), { kind: 'outside', path: '/' })
  assert.equal(canonicalPath('http://box\\@x/v1/a').kind, 'invalid')
})

const unit = fc.constantFrom(
  ...[
    '/',
    '.',
    '..',
    '%2e',
    '%2f',
    '%25',
    '%',
    '%20',
    '%c3%a9',
    '\\',
    '?',
    '#',
    'a',
    'Z',
    '~',
    'é',
  ],
  ...['//', '/v1/', 'v1', '%00', '\u212a', ' ', '\n', '%e2%84%aa', ':', '@', '%5C', '%0d%0a'],
)
const target = fc.array(unit, { maxLength: 14 }).map((parts) => `/v1/${parts.join('')}`)

test('protocols 3.2: the canonical form of a canonical path is itself', () => {
  fc.assert(
    fc.property(fc.oneof(target, fc.webPath(), fc.string()), (raw) => {
      const path = pathOf(raw)
      if (path !== undefined) assert.equal(pathOf(encodePath(path)), path)
    }),
    fuzz(800),
  )
})

test('protocols 3.2: no canonical path holds a segment or a character that means something else', () => {
  fc.assert(
    fc.property(target, (raw) => {
      const path = pathOf(raw)
      if (path === undefined) return
      assert.doesNotMatch(path, /[\\%\p{C}]/u)
      const segments = path.split('/')
      assert.ok(!segments.includes('..') && !segments.includes('.'))
      assert.ok(!segments.slice(0, -1).includes(''))
    }),
    fuzz(2000),
  )
})

test('protocols 3.2: a redirect goes to one clean place on this server', () => {
  const start = fc.array(unit, { maxLength: 14 }).map((parts) => `/${parts.join('')}`)
  fc.assert(
    fc.property(start, (raw) => {
      const result = canonicalPath(raw)
      if (result.kind !== 'redirect') return
      assert.match(result.location, /^\/(?![/\\])/)
      assert.notEqual(canonicalPath(result.location).kind, 'redirect')
    }),
    fuzz(2000),
  )
})
