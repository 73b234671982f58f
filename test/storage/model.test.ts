/**
 * Random groups of batches against a plain Map: the store and the model agree on every result and
 * every entry.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Condition, Store, Write } from '../../src/storage/store.ts'
import { openInFile, openInMemory } from './open-stores.ts'

/** `seen` is the version read before the group, `stale` one from before that. */
interface PlannedCondition {
  readonly key: string
  readonly is: 'absent' | 'present' | 'seen' | 'stale'
}

interface PlannedBatch {
  readonly writes: readonly Write[]
  readonly conditions: readonly PlannedCondition[]
}

const KEYS = ['a', 'a/b', 'a/c', 'b', 'é', '\u{1f511}']
const anyKey = fc.constantFrom(...KEYS)
const anyWrite = fc.record(
  { key: anyKey, value: fc.uint8Array({ maxLength: 20 }) },
  { requiredKeys: ['key'] },
)
const anyCondition: fc.Arbitrary<PlannedCondition> = fc.record({
  key: anyKey,
  is: fc.constantFrom('absent', 'present', 'seen', 'stale'),
})
const anyBatch: fc.Arbitrary<PlannedBatch> = fc
  .record({
    writes: fc.array(anyWrite, { maxLength: 4 }),
    conditions: fc.array(anyCondition, { maxLength: 3 }),
  })
  .map(({ writes, conditions }) => ({
    writes,
    conditions: conditions.filter(
      ({ key, is }) => is !== 'absent' || writes.some((write) => write.key === key),
    ),
  }))
const anyGroups = fc.array(fc.array(anyBatch, { maxLength: 6 }), { maxLength: 6 })

async function compare(store: Store, groups: readonly (readonly PlannedBatch[])[]): Promise<void> {
  const model = new Map<string, Uint8Array>()
  const stale = new Map<string, number>()
  await store.commit(
    KEYS.map((key) => ({ key })),
    [],
  )
  for (const group of groups) {
    const before = await store.get(KEYS)
    const seen = new Map(before.map((entry, i) => [KEYS[i], entry?.version]))
    const conditionOf = ({ key, is }: PlannedCondition): Condition => {
      if (is === 'seen') return { key, is: seen.get(key) ?? 1 }
      return { key, is: is === 'stale' ? (stale.get(key) ?? 1) : is }
    }
    const written = new Set<string>()
    const holds = ({ key, is }: PlannedCondition): boolean => {
      if (is === 'absent' || is === 'present') return model.has(key) === (is === 'present')
      return is === 'seen' && seen.get(key) !== undefined && !written.has(key)
    }
    const expected = group.map(({ writes, conditions }) => {
      const failed = conditions.find((condition) => !holds(condition))
      if (failed) return { committed: false, failed: conditionOf(failed) }
      for (const { key, value } of writes) {
        written.add(key)
        if (value) model.set(key, value)
        else model.delete(key)
      }
      return { committed: true }
    })
    const results = await Promise.all(
      group.map(({ writes, conditions }) => store.commit(writes, conditions.map(conditionOf))),
    )
    assert.deepEqual(results, expected)
    const entries = (await store.get(KEYS)).map((entry) => entry && Buffer.from(entry.value))
    assert.deepEqual(
      entries,
      KEYS.map((key) => (model.has(key) ? Buffer.from(model.get(key) as Uint8Array) : undefined)),
    )
    const inOrder = [...model.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(await store.list('', '', 100), inOrder)
    assert.deepEqual(
      await store.list('a/', '', 100),
      inOrder.filter((key) => key.startsWith('a/')),
    )
    for (const key of written) {
      const version = seen.get(key)
      if (version !== undefined) stale.set(key, version)
    }
  }
}

test('random groups give what a Map gives, in memory', async () => {
  await using opened = await openInMemory()
  await fc.assert(
    fc.asyncProperty(anyGroups, (groups) => compare(opened.store, groups)),
    {
      numRuns: 150,
    },
  )
})

test('random groups give what a Map gives, in a file', async () => {
  await using opened = await openInFile()
  await fc.assert(
    fc.asyncProperty(anyGroups, (groups) => compare(opened.store, groups)),
    {
      numRuns: 40,
    },
  )
})
