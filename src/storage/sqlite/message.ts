/**
 * What the server's thread and the writer's thread say to each other, one message a group in each
 * direction.
 */
import { type Batch, MAX_GROUP } from '../group-commit.ts'
import type { Condition, Write } from '../store.ts'

export interface WriterStart {
  readonly path: string
  readonly clockMicros: number
  /** Memory of both threads, see `PreparedGroup`. */
  readonly prepared: SharedArrayBuffer
  /** Memory of both threads for the bytes of a group. */
  readonly room: SharedArrayBuffer
}

/** Larger groups bring memory of their own. */
export const ROOM_BYTES: number = 256 * 1024

/**
 * A group as two flat pieces: cloning an object and a buffer for each entry took several times as
 * long.
 */
export interface GroupMessage {
  /** The keys of each batch's conditions, then of its writes, each followed by a NUL, which no key holds. */
  readonly keys: string
  /** How many numbers stand before the values. */
  readonly count: number
  /**
   * As float64, for each batch: number of conditions and of writes, then a code for each condition and a length
   * for each write. Behind them all values in a row. They lie in the room that both threads share, where they fit:
   * buffers that are handed over pile up in the thread that seldom collects its garbage.
   */
  readonly bytes: Uint8Array<ArrayBufferLike>
}

export interface WriterFailure {
  readonly message: string
  /** SQLite's own code, where it is SQLite's error. */
  readonly errcode: number | undefined
}

export type WriterReply =
  | { readonly is: 'ready' }
  | { readonly is: 'committed' }
  | { readonly is: 'failed'; readonly failure: WriterFailure }

/**
 * What the group under way will give if it is committed: told before the commit, so that the server can tell what a
 * writer that died during it has done. In shared memory, since a message of its own would wake the server for nothing.
 * One group at a time: the message around it says who may read and who may write.
 */
export class PreparedGroup {
  readonly memory: SharedArrayBuffer
  /** The group's last version, its number of outcomes plus 1 (0: nothing is prepared), the outcomes. */
  readonly #cells: Float64Array<SharedArrayBuffer>

  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer((2 + MAX_GROUP) * Float64Array.BYTES_PER_ELEMENT)
    this.#cells = new Float64Array(this.memory)
  }

  clear(): void {
    this.#cells[1] = 0
  }

  set(outcomes: readonly number[], version: number): void {
    this.#cells.set(outcomes, 2)
    this.#cells[0] = version
    this.#cells[1] = outcomes.length + 1
  }

  get(): { readonly outcomes: readonly number[]; readonly version: number } | undefined {
    const [version = 0, count = 0] = this.#cells
    if (count === 0) return undefined
    return { outcomes: [...this.#cells.subarray(2, 1 + count)], version }
  }
}

/** Codes for conditions that name no version: versions are greater than 0. */
const ABSENT = -1
const PRESENT = -2
const EMPTY = -3
const codes = { absent: ABSENT, present: PRESENT, empty: EMPTY } as const
const named = new Map(
  Object.entries(codes).map(([name, code]) => [code as number, name as keyof typeof codes]),
)
const REMOVED = -1

/** The group's bytes go into `room` if they fit; it must not be in use. */
export function packGroup(batches: readonly Batch[], room: SharedArrayBuffer): GroupMessage {
  let keys = ''
  const numbers: number[] = []
  let valueBytes = 0
  for (const { conditions, writes } of batches) {
    numbers.push(conditions.length, writes.length)
    for (const { key, is } of conditions) {
      keys += `${key}\0`
      numbers.push(typeof is === 'number' ? is : codes[is])
    }
    for (const { key, value } of writes) {
      keys += `${key}\0`
      numbers.push(value?.length ?? REMOVED)
      valueBytes += value?.length ?? 0
    }
  }
  const count = numbers.length
  const length = count * Float64Array.BYTES_PER_ELEMENT + valueBytes
  const bytes = length <= room.byteLength ? new Uint8Array(room, 0, length) : new Uint8Array(length)
  new Float64Array(bytes.buffer, 0, count).set(numbers)
  let offset = count * Float64Array.BYTES_PER_ELEMENT
  for (const { writes } of batches) {
    for (const { value } of writes) {
      if (!value) continue
      bytes.set(value, offset)
      offset += value.length
    }
  }
  return { keys, count, bytes }
}

export function unpackGroup({ keys: joined, count, bytes }: GroupMessage): Batch[] {
  const keys = joined.split('\0')
  const numbers = new Float64Array(bytes.buffer, 0, count)
  const batches: Batch[] = []
  let [keyAt, numberAt, offset] = [0, 0, count * Float64Array.BYTES_PER_ELEMENT]
  const nextKey = (): string => keys[keyAt++] as string
  const nextNumber = (): number => numbers[numberAt++] as number
  while (numberAt < count) {
    const counts = { conditions: nextNumber(), writes: nextNumber() }
    const conditions: Condition[] = []
    while (conditions.length < counts.conditions) {
      const code = nextNumber()
      conditions.push({ key: nextKey(), is: named.get(code) ?? code })
    }
    const writes: Write[] = []
    while (writes.length < counts.writes) {
      const length = nextNumber()
      const key = nextKey()
      if (length === REMOVED) {
        writes.push({ key })
        continue
      }
      writes.push({ key, value: bytes.subarray(offset, offset + length) })
      offset += length
    }
    batches.push({ writes, conditions })
  }
  return batches
}
