/** The router over every path that the server declares: linear in the request's length, whatever stands in it (protocols 3.2). */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type { Operation } from '../../src/mount/operation.ts'
import { Router } from '../../src/mount/router.ts'
import { startTestCore, type TestCore } from '../support/core.ts'
import { cpuMilliseconds } from '../support/cpu-time.ts'
import { fuzz } from './runs.ts'

const OPERATIONS: readonly Operation[] = ['read', 'update', 'delete', 'list', 'help']
const MAX_NAME = 512
const BUSY_MILLISECONDS = 250

let started: TestCore
let routers: readonly Router[]

before(async () => {
  started = await startTestCore()
  routers = started.core.backends.map(({ paths }) => new Router(paths))
})
after(() => started.close())

/** Matches on every router, and gives the milliseconds of the slowest. */
function slowestMatch(rest: string): number {
  let slowest = 0
  for (const router of routers) {
    for (const operation of OPERATIONS) {
      const names: string[] = []
      const took = cpuMilliseconds(() => {
        names.push(...(router.match(rest, operation)?.names.values() ?? []))
      })
      slowest = Math.max(slowest, took)
      for (const text of names) {
        assert.ok(text.length > 0 && text.length <= MAX_NAME, 'a name beyond its limit')
      }
    }
  }
  return slowest
}

test('every declared path, with names of 512 characters and far more, is matched at once', () => {
  const names = ['a', '-', '.', '@', '_', 'a-', ' ', '\u212a', '/', 'a/', '%', '\n', '"']
  for (const router of routers) {
    for (const { pattern } of router.paths) {
      for (const piece of names) {
        for (const length of [MAX_NAME, MAX_NAME + 1, 30_000]) {
          const name = piece.repeat(Math.ceil(length / piece.length)).slice(0, length)
          const rest = pattern.replace(/[()]/g, '').replace(/:[a-z_]+\*?/g, `${name}`)
          const spent = slowestMatch(`${rest}-`)
          assert.ok(spent < BUSY_MILLISECONDS, `${pattern} took ${Math.round(spent)} ms`)
        }
      }
    }
  }
})

test('any path is matched at once, and its names stay within their limit', () => {
  const words = [
    ...new Set(routers.flatMap(({ paths }) => paths.flatMap(({ pattern }) => pattern.split('/')))),
  ]
  const segment = fc.oneof(
    fc.constantFrom(...words, '', '__proto__', 'constructor', '..'),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.nat(3000).map((length) => 'x'.repeat(length)),
  )
  const path = fc.array(segment, { maxLength: 12 }).map((segments) => segments.join('/'))
  fc.assert(
    fc.property(path, (rest) => {
      assert.ok(slowestMatch(rest) < BUSY_MILLISECONDS)
    }),
    fuzz(1000),
  )
})
