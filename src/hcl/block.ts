/**
 * Reading parsed values: labelled blocks whatever their form, nested objects, unknown keys, plain
 * data.
 */
import { HclError, type Position } from './error.ts'
import type { HclEntry, HclObject, HclValue } from './value.ts'

export interface HclBlock extends Position {
  readonly labels: readonly string[]
  readonly body: HclObject
}

/**
 * The blocks that an entry stands for when its kind takes `labelCount` labels. Labels that are not
 * written before the brace are the keys of the objects inside, which is how the JSON form names
 * blocks; a list holds several. Throws HclError when the shape is another.
 */
export function blocksOf(entry: HclEntry, labelCount: number): HclBlock[] {
  const blocks: HclBlock[] = []
  if (entry.labels.length > labelCount) {
    throw new HclError(entry, `${entry.key} takes ${labelCount} labels, got ${entry.labels.length}`)
  }
  collectBlocks(blocks, entry, entry.labels, labelCount)
  return blocks
}

function collectBlocks(
  blocks: HclBlock[],
  entry: HclEntry,
  labels: readonly string[],
  labelCount: number,
): void {
  if (labels.length > labelCount) {
    throw new HclError(entry, `${labels[0]} takes ${labelCount} labels, got ${labels.length}`)
  }
  const values = entry.value.kind === 'list' ? entry.value.items : [entry.value]
  for (const body of values) {
    if (body.kind !== 'object') {
      throw new HclError(entry, `${entry.key}: expected an object, got ${describeKind(body)}`)
    }
    if (labels.length === labelCount) {
      blocks.push({ labels, body, line: entry.line, column: entry.column })
      continue
    }
    for (const inner of body.entries) {
      collectBlocks(blocks, inner, [...labels, inner.key, ...inner.labels], labelCount)
    }
  }
}

/**
 * The entries of an object, or of a list of objects one after the other (so the JSON form repeats a
 * block).
 */
export function entriesOf(value: HclValue): readonly HclEntry[] | undefined {
  if (value.kind === 'object') return value.entries
  if (value.kind !== 'list') return undefined
  const entries: HclEntry[] = []
  for (const item of value.items) {
    if (item.kind !== 'object') return undefined
    for (const entry of item.entries) entries.push(entry)
  }
  return entries
}

/** One text for each entry whose key is not known: `invalid key "bogus" on line 5`. */
export function invalidKeys(object: HclObject, known: ReadonlySet<string>): string[] {
  return object.entries
    .filter((entry) => !known.has(entry.key))
    .map((entry) => `invalid key ${JSON.stringify(entry.key)} on line ${entry.line}`)
}

/** A value's kind in words, for error texts. */
export function describeKind(value: HclValue): string {
  switch (value.kind) {
    case 'string':
    case 'number':
    case 'list':
      return `a ${value.kind}`
    case 'bool':
      return 'a bool'
    case 'object':
      return 'an object'
    case 'null':
      return 'null'
  }
}

/** A value as plain data; objects are Maps, the last of equal keys counts. */
export function plainValue(value: HclValue): unknown {
  switch (value.kind) {
    case 'list':
      return value.items.map(plainValue)
    case 'object':
      return new Map(value.entries.map((entry) => [entry.key, plainValue(entry.value)]))
    case 'null':
      return null
    default:
      return value.value
  }
}
