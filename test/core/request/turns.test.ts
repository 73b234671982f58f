/** Turns: one at a time, unless one is left early. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Turns } from '../../../src/core/request/turns.ts'

describe('turns', () => {
  it('are taken in the order of asking, a failed one included', async () => {
    const turns = new Turns()
    const seen: string[] = []
    const first = turns.take(async () => {
      await new Promise(setImmediate)
      seen.push('first')
      throw new Error('failed')
    })
    const second = turns.take(async () => void seen.push('second'))
    await assert.rejects(first, /failed/)
    await second
    assert.deepEqual(seen, ['first', 'second'])
  })

  it('end for the others when they are left, though the work goes on', async () => {
    const turns = new Turns()
    const { promise: host, resolve } = Promise.withResolvers<void>()
    const slow = turns.take(async (leave) => {
      leave()
      await host
      return 'installed'
    })
    await turns.settled()
    assert.equal(await turns.take(async () => 'next'), 'next')
    resolve()
    assert.equal(await slow, 'installed')
  })
})
