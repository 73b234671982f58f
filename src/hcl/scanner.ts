/**
 * HCL1 text to tokens, one at a time and in linear time. Token names are those of HCL1's messages.
 */
import { HclError, type Position } from './error.ts'
import { parseNumber, unescapeString } from './literal.ts'

export type TokenType =
  | 'EOF'
  | 'IDENT'
  | 'NUMBER'
  | 'FLOAT'
  | 'BOOL'
  | 'STRING'
  | 'HEREDOC'
  | 'LBRACK'
  | 'RBRACK'
  | 'LBRACE'
  | 'RBRACE'
  | 'COMMA'
  | 'PERIOD'
  | 'ASSIGN'
  | 'ADD'
  | 'SUB'

export interface Token extends Position {
  readonly type: TokenType
  /** As written. */
  readonly text: string
  /** Of strings, heredocs, numbers and bools. */
  readonly value: string | number | boolean | undefined
}

const PUNCTUATION: ReadonlyMap<string, TokenType> = new Map([
  ['[', 'LBRACK'],
  [']', 'RBRACK'],
  ['{', 'LBRACE'],
  ['}', 'RBRACE'],
  [',', 'COMMA'],
  ['.', 'PERIOD'],
  ['=', 'ASSIGN'],
  ['+', 'ADD'],
  ['-', 'SUB'],
])

const BLANK = /[ \t\r]+/y
const LINE_COMMENT = /(?:#|\/\/)[^\n]*/y
const IDENT = /[A-Za-z_][A-Za-z0-9_.-]*/y
const NUMBER = /-?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)/y
// Unrolled, so that a long string without escapes is one step and not a branch for each character.
const STRING = /"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"/y
const HEREDOC = /<<(-?)([A-Za-z0-9_]+)\r?\n/y

export class Scanner {
  readonly #text: string
  #offset: number
  #line = 1
  #lineStart: number

  constructor(text: string) {
    this.#text = text
    // A byte order mark is no part of the first line.
    this.#offset = text.startsWith('\uFEFF') ? 1 : 0
    this.#lineStart = this.#offset
  }

  /** The next token; EOF again and again at the end. Throws HclError. */
  next(): Token {
    this.#skipBlanks()
    const position = this.#position()
    const char = this.#text[this.#offset]
    if (char === undefined) return { type: 'EOF', text: 'EOF', value: undefined, ...position }
    if (char === '"') return this.#string(position)
    if (char === '<') return this.#heredoc(position)
    const number = this.#take(NUMBER)
    if (number !== undefined) return this.#number(number, position)
    const ident = this.#take(IDENT)
    if (ident !== undefined) {
      if (ident !== 'true' && ident !== 'false') return token('IDENT', ident, ident, position)
      return token('BOOL', ident, ident === 'true', position)
    }
    const type = PUNCTUATION.get(char)
    if (type === undefined) throw new HclError(position, 'illegal character')
    this.#offset += 1
    return token(type, char, undefined, position)
  }

  #position(): Position {
    return { line: this.#line, column: this.#offset - this.#lineStart + 1 }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#offset += found.length
    return found
  }

  #newLine(): void {
    this.#line += 1
    this.#lineStart = this.#offset
  }

  #skipBlanks(): void {
    for (;;) {
      const char = this.#text[this.#offset]
      if (char === '\n') {
        this.#offset += 1
        this.#newLine()
      } else if (char === ' ' || char === '\t' || char === '\r') {
        this.#take(BLANK)
      } else if (this.#text.startsWith('/*', this.#offset)) {
        this.#skipBlockComment()
      } else if (char === '#' || this.#text.startsWith('//', this.#offset)) {
        this.#take(LINE_COMMENT)
      } else {
        return
      }
    }
  }

  #skipBlockComment(): void {
    const end = this.#text.indexOf('*/', this.#offset + 2)
    if (end < 0) throw new HclError(this.#position(), 'comment not terminated')
    for (;;) {
      const newline = this.#text.indexOf('\n', this.#offset)
      if (newline < 0 || newline > end) break
      this.#offset = newline + 1
      this.#newLine()
    }
    this.#offset = end + 2
  }

  #string(position: Position): Token {
    const text = this.#take(STRING)
    if (text === undefined) throw new HclError(position, 'literal not terminated')
    const value = unescapeString(text.slice(1, -1))
    if (value === undefined) throw new HclError(position, 'illegal char escape')
    return token('STRING', text, value, position)
  }

  #number(text: string, position: Position): Token {
    const value = parseNumber(text)
    if (value === undefined) throw new HclError(position, 'illegal number')
    return token(/^-?[0-9]+$|^-?0[xX]/.test(text) ? 'NUMBER' : 'FLOAT', text, value, position)
  }

  #heredoc(position: Position): Token {
    HEREDOC.lastIndex = this.#offset
    const head = HEREDOC.exec(this.#text)
    if (head === null) throw new HclError(position, 'illegal character')
    const [opening, dash, anchor] = head as unknown as [string, string, string]
    this.#offset += opening.length
    this.#newLine()
    const lines: string[] = []
    while (this.#offset < this.#text.length) {
      const newline = this.#text.indexOf('\n', this.#offset)
      const end = newline < 0 ? this.#text.length : newline
      const line = this.#text.slice(this.#offset, end)
      this.#offset = end
      if (line.trim() === anchor) {
        const indent = dash === '-' ? line.slice(0, line.indexOf(anchor)) : ''
        return token('HEREDOC', opening, joinLines(lines, indent), position)
      }
      lines.push(line)
      if (newline < 0) break
      this.#offset = newline + 1
      this.#newLine()
    }
    throw new HclError(position, 'heredoc not terminated')
  }
}

function token(type: TokenType, text: string, value: Token['value'], position: Position): Token {
  return { type, text, value, line: position.line, column: position.column }
}

/** The closing anchor's indent is cut only when every line has it, as HCL1 does. */
function joinLines(lines: readonly string[], indent: string): string {
  const cut = lines.every((line) => line === '' || line.startsWith(indent)) ? indent.length : 0
  return lines.map((line) => `${line.slice(cut)}\n`).join('')
}
