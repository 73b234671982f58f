import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MissLimit, type MissLimitOptions, type MissSummary } from '../../src/core/miss-limit.ts'

function limitAt(options: Partial<MissLimitOptions> = {}) {
  const clock = {
    time: 1_000_000,
    now() {
      return this.time
    },
  }
  const summaries: MissSummary[] = []
  const limit = new MissLimit({ clock, onSummary: (line) => summaries.push(line), ...options })
  /** Tries misses and gives how many were let through. */
  const miss = (count: number, address = '10.0.0.1', mount = 'ssh/') => {
    let passed = 0
    for (let i = 0; i < count; i++) {
      if (!limit.allows(address, mount)) continue
      limit.charge(address, mount)
      passed++
    }
    return passed
  }
  return { clock, limit, summaries, miss }
}

test('protocols 3.4: 50 misses at once, then 10 a second', () => {
  const { clock, miss } = limitAt()
  assert.equal(miss(1000), 50)
  for (let second = 0; second < 5; second++) {
    clock.time += 1000
    assert.equal(miss(1000), 10)
  }
  clock.time += 3_600_000
  assert.equal(miss(1000), 50)
})

test('protocols 3.4: right answers cost nothing', () => {
  const { limit, miss } = limitAt()
  miss(49)
  for (let i = 0; i < 5000; i++) assert.ok(limit.allows('10.0.0.1', 'ssh/'))
})

test('100,000 misses from one address in ten seconds let 150 through', () => {
  const { clock, miss } = limitAt()
  let passed = 0
  for (let i = 0; i < 1000; i++) {
    passed += miss(100)
    clock.time += 10
  }
  assert.ok(passed >= 149 && passed <= 150, `${passed} passed`)
})

test('addresses and mounts are counted apart, and an IPv6 /64 together', () => {
  const { miss } = limitAt()
  assert.equal(miss(100, '10.0.0.1', 'ssh/'), 50)
  assert.equal(miss(100, '10.0.0.2', 'ssh/'), 50)
  assert.equal(miss(100, '10.0.0.1', 'other/'), 50)
  assert.equal(miss(30, '2001:db8:0:1::1'), 30)
  assert.equal(miss(30, '2001:db8:0:1:ffff:1:2:3'), 20)
  assert.equal(miss(30, '2001:0db8::1:a:b:c:d'), 0)
  assert.equal(miss(30, '2001:db8:0:2::1'), 30)
  assert.equal(miss(60, '::1'), 50)
  assert.equal(miss(60, '::ffff:10.0.0.9'), 0)
  assert.equal(miss(60, ''), 50)
})

test('misses of requests that ran at the same time are paid back', () => {
  const { clock, limit, miss } = limitAt()
  for (let i = 0; i < 1000; i++) limit.charge('10.0.0.1', 'ssh/')
  clock.time += 5000
  assert.equal(miss(10), 0)
  clock.time += 1000
  assert.equal(miss(100), 10)
})

test('a clock that goes back gives nothing and takes nothing', () => {
  const { clock, miss } = limitAt()
  assert.equal(miss(100), 50)
  clock.time -= 60_000
  assert.equal(miss(100), 0)
})

test('one summary a minute, with the number refused', () => {
  const { clock, limit, summaries, miss } = limitAt()
  miss(60)
  assert.equal(summaries.length, 1)
  miss(40)
  clock.time += 59_000
  limit.summarize()
  assert.equal(summaries.length, 1)
  clock.time += 1000
  limit.summarize()
  limit.summarize()
  assert.deepEqual(summaries, [
    { refusedRequests: 1, lastAddress: '10.0.0.1', lastMount: 'ssh/' },
    { refusedRequests: 49, lastAddress: '10.0.0.1', lastMount: 'ssh/' },
  ])
})

test('the table stays bounded, and forgets full buckets before others', () => {
  const { clock, limit, miss } = limitAt({ maxBuckets: 100 })
  for (let i = 0; i < 90; i++) limit.charge(`10.1.0.${i}`, 'ssh/')
  clock.time += 10_000
  assert.equal(miss(50), 50)
  for (let i = 0; i < 1000; i++) {
    limit.charge(`10.2.${i >> 8}.${i & 255}`, 'ssh/')
    assert.ok(limit.size <= 100)
    if (i < 90) assert.equal(limit.allows('10.0.0.1', 'ssh/'), false)
  }
})

test('no run of misses lets more through than burst and rate together', () => {
  const steps = fc.array(fc.tuple(fc.nat(2000), fc.nat(80)), { maxLength: 30 })
  fc.assert(
    fc.property(steps, (run) => {
      const { clock, miss } = limitAt()
      let passed = 0
      let elapsed = 0
      for (const [wait, count] of run) {
        clock.time += wait
        elapsed += wait
        passed += miss(count)
      }
      assert.ok(passed <= 50 + elapsed / 100)
    }),
    { numRuns: 200 },
  )
})
