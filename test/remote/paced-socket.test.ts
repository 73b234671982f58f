/** Calculations of several connections leave the event loop room for others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inTurn } from '../../src/remote/paced-socket.ts'

test('between the steps of twenty handshakes others have their turn', async () => {
  let done = 0
  for (let step = 0; step < 20; step += 1) {
    inTurn(() => {
      const end = performance.now() + 2
      while (performance.now() < end);
      done += 1
    })
  }
  const seen: number[] = []
  while (done < 20) {
    await new Promise((resolve) => setImmediate(resolve))
    seen.push(done)
  }
  assert.ok(seen.length >= 8, `${seen}`)
})
