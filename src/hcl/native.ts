/**
 * HCL1's own form to values. The messages are those of HCL1, since clients and people know them.
 */
import { HclError, type Position } from './error.ts'
import { Scanner, type Token, type TokenType } from './scanner.ts'
import type { HclEntry, HclList, HclObject, HclValue } from './value.ts'

/** How much of a key an error shows. */
const SHOWN_KEY_LENGTH = 100

/** Throws HclError. `maxDepth` counts nested objects and lists, the text itself being the first. */
export function parseNative(text: string, maxDepth: number): HclObject {
  const parser = new NativeParser(new Scanner(text), maxDepth)
  return parser.file()
}

class NativeParser {
  readonly #scanner: Scanner
  readonly #maxDepth: number
  #token: Token

  constructor(scanner: Scanner, maxDepth: number) {
    this.#scanner = scanner
    this.#maxDepth = maxDepth
    this.#token = scanner.next()
  }

  file(): HclObject {
    const entries: HclEntry[] = []
    while (this.#token.type !== 'EOF') this.#entry(entries, 1)
    return { kind: 'object', entries, line: 1, column: 1 }
  }

  #advance(): Token {
    const token = this.#token
    this.#token = this.#scanner.next()
    return token
  }

  #is(type: TokenType): boolean {
    return this.#token.type === type
  }

  #entry(entries: HclEntry[], depth: number): void {
    const position = positionOf(this.#token)
    const [key, ...labels] = this.#keys()
    const sign = this.#token
    if (sign.type === 'ASSIGN') {
      if (labels.length > 0) {
        throw new HclError(sign, `nested object expected: LBRACE got: ${sign.type}`)
      }
      this.#advance()
    } else if (sign.type !== 'LBRACE') {
      const shown = [key, ...labels].join(' ').slice(0, SHOWN_KEY_LENGTH)
      throw new HclError(sign, `key '${shown}' expected start of object ('{') or assignment ('=')`)
    }
    entries.push({ key, labels, value: this.#value(depth), ...position })
    if (this.#token.type === 'COMMA') this.#advance()
  }

  #keys(): [string, ...string[]] {
    const keys: string[] = []
    while (this.#token.type === 'IDENT' || this.#token.type === 'STRING') {
      keys.push(String(this.#advance().value))
    }
    const [first, ...rest] = keys
    const { type } = this.#token
    if (first === undefined) {
      if (type === 'ASSIGN') {
        throw new HclError(this.#token, 'expected to find at least one object key')
      }
      const expected = type === 'LBRACE' ? 'IDENT | STRING' : 'IDENT | STRING | ASSIGN | LBRACE'
      throw new HclError(this.#token, `expected: ${expected} got: ${type}`)
    }
    return [first, ...rest]
  }

  #value(depth: number): HclValue {
    const token = this.#token
    const position = positionOf(token)
    switch (token.type) {
      case 'STRING':
      case 'HEREDOC':
        this.#advance()
        return { kind: 'string', value: String(token.value), ...position }
      case 'NUMBER':
      case 'FLOAT':
        this.#advance()
        return { kind: 'number', value: Number(token.value), text: token.text, ...position }
      case 'BOOL':
        this.#advance()
        return { kind: 'bool', value: token.value === true, ...position }
      case 'LBRACE':
        return this.#object(depth + 1, position)
      case 'LBRACK':
        return this.#list(depth + 1, position)
      default:
        throw new HclError(token, `Unknown token: ${token.type}`)
    }
  }

  #object(depth: number, position: Position): HclObject {
    this.#checkDepth(depth, position)
    this.#advance()
    const entries: HclEntry[] = []
    while (this.#token.type !== 'RBRACE') {
      if (this.#token.type === 'EOF') {
        // HCL1 has read past the end twice when it says this, which is where its column comes from.
        const { line, column } = this.#token
        throw new HclError({ line, column: column + 1 }, 'object expected closing RBRACE got: EOF')
      }
      this.#entry(entries, depth)
    }
    this.#advance()
    return { kind: 'object', entries, ...position }
  }

  #list(depth: number, position: Position): HclList {
    this.#checkDepth(depth, position)
    this.#advance()
    const items: HclValue[] = []
    while (!this.#is('RBRACK')) {
      items.push(this.#item(depth))
      if (this.#is('COMMA')) this.#advance()
      else if (!this.#is('RBRACK')) {
        const { type } = this.#token
        throw new HclError(
          this.#token,
          `error parsing list, expected comma or list end, got: ${type}`,
        )
      }
    }
    this.#advance()
    return { kind: 'list', items, ...position }
  }

  #item(depth: number): HclValue {
    switch (this.#token.type) {
      case 'STRING':
      case 'HEREDOC':
      case 'NUMBER':
      case 'FLOAT':
      case 'BOOL':
      case 'LBRACE':
      case 'LBRACK':
        return this.#value(depth)
      default:
        throw new HclError(this.#token, `unexpected token while parsing list: ${this.#token.type}`)
    }
  }

  #checkDepth(depth: number, position: Position): void {
    if (depth > this.#maxDepth) {
      throw new HclError(position, `nested deeper than ${this.#maxDepth} levels`)
    }
  }
}

function positionOf(token: Token): Position {
  return { line: token.line, column: token.column }
}
