/** Groups on their way to the writer's thread. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { packGroup, unpackGroup } from '../../../src/storage/sqlite/message.ts'

const key = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 8 })
  .filter((text) => !text.includes('\0') && text.isWellFormed())
const plain = { noNullPrototype: true } as const
const batch = fc.record(
  {
    writes: fc.array(
      fc.record(
        { key, value: fc.uint8Array({ maxLength: 30 }) },
        { requiredKeys: ['key'], ...plain },
      ),
      { maxLength: 4 },
    ),
    conditions: fc.array(
      fc.record(
        {
          key,
          is: fc.oneof(
            fc.constantFrom('absent' as const, 'present' as const, 'empty' as const),
            fc.maxSafeNat(),
          ),
        },
        plain,
      ),
      { maxLength: 4 },
    ),
  },
  plain,
)

test('a packed group unpacks to the same batches', () => {
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 6 }), (batches) => {
      for (const room of [new SharedArrayBuffer(0), new SharedArrayBuffer(4096)]) {
        const unpacked = unpackGroup(packGroup(batches, room))
        assert.deepEqual(unpacked, batches)
      }
    }),
    { numRuns: 200 },
  )
})
