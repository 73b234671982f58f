/**
 * What the server's thread and the writer's thread say to each other, one message a group in each
 * direction.
 */
import type { Batch } from './group-commit.ts'
import type { Condition, Write } from './store.ts'

export interface WriterStart {
  readonly path: string
  readonly clockMicros: number
}

/**
 * A group as few flat pieces: cloning an object and a buffer for each entry took three times as
 * long.
 */
export interface GroupMessage {
  /** The keys of each batch's conditions, then of its writes. */
  readonly keys: readonly string[]
  /**
   * For each batch: number of conditions and of writes, then a code for each condition and a length
   * for each write.
   */
  readonly numbers: readonly number[]
  /** All values in a row; transferred, not copied. */
  readonly values: Uint8Array<ArrayBuffer>
}

export interface WriterFailure {
  readonly message: string
  /** SQLite's own code, where it is SQLite's error. */
  readonly errcode: number | undefined
}

export type WriterReply =
  | { readonly is: 'ready' }
  /** Before the commit, so that the server can tell what a writer that died during it has done. */
  | { readonly is: 'prepared'; readonly outcomes: readonly number[]; readonly version: number }
  | { readonly is: 'committed' }
  | { readonly is: 'failed'; readonly failure: WriterFailure }

/** Codes for conditions that name no version: versions are greater than 0. */
const ABSENT = -1
const PRESENT = -2
const REMOVED = -1

export function packGroup(batches: readonly Batch[]): GroupMessage {
  const keys: string[] = []
  const numbers: number[] = []
  let bytes = 0
  for (const { conditions, writes } of batches) {
    numbers.push(conditions.length, writes.length)
    for (const { key, is } of conditions) {
      keys.push(key)
      numbers.push(is === 'absent' ? ABSENT : is === 'present' ? PRESENT : is)
    }
    for (const { key, value } of writes) {
      keys.push(key)
      numbers.push(value?.length ?? REMOVED)
      bytes += value?.length ?? 0
    }
  }
  const values = new Uint8Array(bytes)
  let offset = 0
  for (const { writes } of batches) {
    for (const { value } of writes) {
      if (!value) continue
      values.set(value, offset)
      offset += value.length
    }
  }
  return { keys, numbers, values }
}

export function unpackGroup({ keys, numbers, values }: GroupMessage): Batch[] {
  const batches: Batch[] = []
  let [keyAt, numberAt, offset] = [0, 0, 0]
  const nextKey = (): string => keys[keyAt++] as string
  const nextNumber = (): number => numbers[numberAt++] as number
  while (numberAt < numbers.length) {
    const counts = { conditions: nextNumber(), writes: nextNumber() }
    const conditions: Condition[] = []
    while (conditions.length < counts.conditions) {
      const code = nextNumber()
      const is = code === ABSENT ? 'absent' : code === PRESENT ? 'present' : code
      conditions.push({ key: nextKey(), is })
    }
    const writes: Write[] = []
    while (writes.length < counts.writes) {
      const length = nextNumber()
      const key = nextKey()
      if (length === REMOVED) {
        writes.push({ key })
        continue
      }
      writes.push({ key, value: values.subarray(offset, offset + length) })
      offset += length
    }
    batches.push({ writes, conditions })
  }
  return batches
}
