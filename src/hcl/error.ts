/** The one error of the HCL and JSON parsers, with the place in the family's form (`At 1:8: …`). */

/** A place in a text: lines and columns count from 1, columns in UTF-16 units. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Text that is not HCL1 or JSON, or whose shape is not the one asked for. */
export class HclError extends Error {
  override readonly name = 'HclError'
  readonly line: number
  readonly column: number
  /** The text without the place. */
  readonly reason: string

  constructor(position: Position, reason: string) {
    super(`At ${position.line}:${position.column}: ${reason}`)
    this.line = position.line
    this.column = position.column
    this.reason = reason
  }
}
