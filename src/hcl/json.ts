/**
 * The JSON form (RFC 8259) to the same values, with line and column, which JSON.parse does not
 * tell.
 */
import { HclError, type Position } from './error.ts'
import type { HclEntry, HclList, HclObject, HclString, HclValue } from './value.ts'

const BLANK = /[ \t\r]+/y
const STRING = /"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"/y
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const WORD = /[a-z]+/y

/** Throws HclError. `maxDepth` counts nested objects and lists, the text itself being the first. */
export function parseJson(text: string, maxDepth: number): HclObject {
  return new JsonParser(text, maxDepth).file()
}

class JsonParser {
  readonly #text: string
  readonly #maxDepth: number
  #offset: number
  #line = 1
  #lineStart: number

  constructor(text: string, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
    this.#offset = text.startsWith('\uFEFF') ? 1 : 0
    this.#lineStart = this.#offset
  }

  file(): HclObject {
    this.#peek()
    const object = this.#object(1)
    if (this.#peek() !== undefined) this.#fail('text after the closing brace')
    return object
  }

  /** The next character that is not blank. */
  #peek(): string | undefined {
    for (;;) {
      const char = this.#text[this.#offset]
      if (char === '\n') {
        this.#offset += 1
        this.#line += 1
        this.#lineStart = this.#offset
      } else if (this.#take(BLANK) === undefined) {
        return char
      }
    }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#offset += found.length
    return found
  }

  #position(): Position {
    return { line: this.#line, column: this.#offset - this.#lineStart + 1 }
  }

  #fail(reason: string): never {
    throw new HclError(this.#position(), reason)
  }

  #expect(char: string): void {
    const found = this.#peek()
    if (found !== char) this.#fail(`expected '${char}' got: ${found ?? 'EOF'}`)
    this.#offset += 1
  }

  #value(depth: number): HclValue {
    const char = this.#peek()
    const position = this.#position()
    if (char === '{') return this.#object(depth + 1)
    if (char === '[') return this.#list(depth + 1)
    if (char === '"') return this.#string()
    const text = this.#take(NUMBER)
    if (text !== undefined) {
      const value = Number(text)
      if (!Number.isFinite(value)) throw new HclError(position, 'illegal number')
      return { kind: 'number', value, text, ...position }
    }
    switch (this.#take(WORD)) {
      case 'true':
        return { kind: 'bool', value: true, ...position }
      case 'false':
        return { kind: 'bool', value: false, ...position }
      case 'null':
        return { kind: 'null', ...position }
      default:
        throw new HclError(position, `expected a value got: ${char ?? 'EOF'}`)
    }
  }

  #string(): HclString {
    const position = this.#position()
    const literal = this.#take(STRING)
    if (literal === undefined) this.#fail('literal not terminated')
    try {
      return { kind: 'string', value: JSON.parse(literal) as string, ...position }
    } catch {
      throw new HclError(position, 'illegal char escape')
    }
  }

  #object(depth: number): HclObject {
    const position = this.#open(depth)
    const entries: HclEntry[] = []
    if (this.#peek() !== '}') {
      do {
        if (this.#peek() !== '"') this.#fail(`expected: STRING got: ${this.#peek() ?? 'EOF'}`)
        const { value: key, line, column } = this.#string()
        this.#expect(':')
        entries.push({ key, labels: [], value: this.#value(depth), line, column })
      } while (this.#comma())
    }
    this.#expect('}')
    return { kind: 'object', entries, ...position }
  }

  #list(depth: number): HclList {
    const position = this.#open(depth)
    const items: HclValue[] = []
    if (this.#peek() !== ']') {
      do items.push(this.#value(depth))
      while (this.#comma())
    }
    this.#expect(']')
    return { kind: 'list', items, ...position }
  }

  #open(depth: number): Position {
    const position = this.#position()
    if (depth > this.#maxDepth) {
      throw new HclError(position, `nested deeper than ${this.#maxDepth} levels`)
    }
    this.#offset += 1
    return position
  }

  #comma(): boolean {
    if (this.#peek() !== ',') return false
    this.#offset += 1
    return true
  }
}
