import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentReads } from '../../src/storage/recent-reads.ts'

const entry = (key: string, version: number) => ({ key, value: Buffer.from(key), version })

test('what was noted is known, absence included, and only when every key is', () => {
  const reads = new RecentReads()
  reads.note(['a', 'b'], [entry('a', 1), undefined])
  assert.deepEqual(
    reads.get(['b', 'a'])?.map((found) => found?.version),
    [undefined, 1],
  )
  assert.equal(reads.get(['a', 'c']), undefined)
})

test('a key that a group writes is unknown until the group has settled (protocols 1.3)', () => {
  const reads = new RecentReads()
  reads.note(['a', 'b'], [entry('a', 1), entry('b', 1)])
  reads.begin([{ key: 'a' }])
  assert.equal(reads.get(['a']), undefined)
  assert.equal(reads.get(['b'])?.[0]?.version, 1)
  // A statement may see the group's commit before its members learn of it.
  reads.note(['a', 'b'], [entry('a', 2), entry('b', 1)])
  assert.equal(reads.get(['a', 'b']), undefined)
  reads.settle()
  reads.note(['a'], [entry('a', 2)])
  assert.equal(reads.get(['a'])?.[0]?.version, 2)
})

test('what is given is a copy', () => {
  const reads = new RecentReads()
  const own = entry('a', 1)
  reads.note(['a'], [own])
  own.value.fill(0)
  reads.get(['a'])?.[0]?.value.fill(0)
  assert.equal(Buffer.from(reads.get(['a'])?.[0]?.value ?? []).toString(), 'a')
})

test('it is bounded', () => {
  const reads = new RecentReads()
  for (let i = 0; i < 10_000; i++) reads.note([`k${i}`], [entry(`k${i}`, 1)])
  const known = Array.from({ length: 10_000 }, (_, i) => reads.get([`k${i}`])).filter(Boolean)
  assert.ok(known.length <= 4096)
  reads.note(['large'], [{ key: 'large', value: Buffer.alloc(5000), version: 1 }])
  assert.equal(reads.get(['large']), undefined)
})
