/** Sessions of one connection: never more than the limit, in order, and none lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slots } from '../../src/remote/slots.ts'

const never = new AbortController().signal
const soon = () => new Promise((resolve) => setImmediate(resolve))

/** Takes slots one after the other; gives the numbers of those who got one, so far. */
function takers(slots: Slots, count: number): number[] {
  const got: number[] = []
  for (let number = 0; number < count; number += 1) {
    void slots.take(never).then(() => got.push(number))
  }
  return got
}

test('so many are taken as there are, and the others follow in order', async () => {
  const slots = new Slots(2)
  const got = takers(slots, 4)
  await soon()
  assert.deepEqual(got, [0, 1])
  slots.giveBack()
  await soon()
  assert.deepEqual(got, [0, 1, 2])
  slots.giveBack()
  await soon()
  assert.deepEqual(got, [0, 1, 2, 3])
})

test('who is refused waits until another is given back', async () => {
  const slots = new Slots(10)
  takers(slots, 2)
  await soon()
  assert.equal(slots.refuse(), true)
  let isTaken = false
  void slots.take(never, true).then(() => {
    isTaken = true
  })
  await soon()
  assert.equal(isTaken, false)
  slots.giveBack()
  await soon()
  assert.equal(isTaken, true)
})

test('when a session opens after a refusal, one more is tried', async () => {
  const slots = new Slots(10)
  takers(slots, 2)
  await soon()
  slots.refuse()
  const waiting = [1, 2].map(() => slots.take(never, true))
  slots.giveBack()
  await waiting[0]
  slots.opened()
  await waiting[1]
})

test('a host that opens not even one session is not asked again', async () => {
  const slots = new Slots(10)
  await slots.take(never)
  assert.equal(slots.refuse(), false)
})

test('who gives up while waiting takes nobody else the turn', async () => {
  const slots = new Slots(1)
  await slots.take(never)
  const impatient = new AbortController()
  const waiting = slots.take(impatient.signal)
  const got = takers(slots, 1)
  // Woken and aborted at once: the turn goes to the next one.
  slots.giveBack()
  impatient.abort(new Error('gone'))
  await assert.rejects(waiting, /gone/)
  await soon()
  assert.deepEqual(got, [0])
})
