/**
 * What HCL1 and JSON texts are parsed to: values that know where they stand. Repeated keys stay
 * separate entries, in the order of the text; readers decide what a repetition means.
 */
import type { Position } from './error.ts'

export interface HclString extends Position {
  readonly kind: 'string'
  readonly value: string
}

export interface HclNumber extends Position {
  readonly kind: 'number'
  readonly value: number
  /** As written: file modes and large integers need it. */
  readonly text: string
}

export interface HclBool extends Position {
  readonly kind: 'bool'
  readonly value: boolean
}

/** Only in the JSON form. */
export interface HclNull extends Position {
  readonly kind: 'null'
}

export interface HclList extends Position {
  readonly kind: 'list'
  readonly items: readonly HclValue[]
}

export interface HclObject extends Position {
  readonly kind: 'object'
  readonly entries: readonly HclEntry[]
}

export type HclValue = HclString | HclNumber | HclBool | HclNull | HclList | HclObject

/**
 * `key = value`, or a block `key "label" … { … }`. The JSON form has no labels: it nests objects.
 */
export interface HclEntry extends Position {
  readonly key: string
  readonly labels: readonly string[]
  readonly value: HclValue
}
