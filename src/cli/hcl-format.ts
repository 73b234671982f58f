/** HCL text in one layout: two blanks a level, aligned `=`, no trailing blanks. Comments and heredocs stay. */
import { parseHcl } from '../hcl/parse.ts'
import { Scanner, type Token } from '../hcl/scanner.ts'

interface Line {
  readonly tokens: readonly Token[]
  readonly text: string
  /** Text of a heredoc. */
  readonly isKept: boolean
}

const OPENERS = new Set(['LBRACE', 'LBRACK'])
const CLOSERS = new Set(['RBRACE', 'RBRACK'])

/** Throws HclError for text that is not valid. JSON is left as it is. */
export function formatHcl(text: string): string {
  parseHcl(text)
  if (/^\uFEFF?\s*\{/.test(text)) return text
  // The scanner counts columns behind a byte order mark.
  const lines = linesOf(text.replace(/^\uFEFF/, ''))
  const formatted: string[] = []
  let depth = 0
  for (const { tokens, text: line, isKept } of lines) {
    if (isKept) {
      formatted.push(line)
      continue
    }
    const closing = tokens.findIndex(({ type }) => !CLOSERS.has(type))
    const indent = Math.max(0, depth - (closing < 0 ? tokens.length : closing))
    for (const { type } of tokens) depth += OPENERS.has(type) ? 1 : CLOSERS.has(type) ? -1 : 0
    formatted.push(isMovable(line, tokens) ? layOut(line, tokens, indent) : line.trimEnd())
  }
  const shown = alignEquals(formatted, lines).filter((line, index) => {
    const isSecondBlank = line === '' && (formatted[index - 1] ?? '') === ''
    return lines[index]?.isKept || !isSecondBlank
  })
  return `${shown.join('\n').trimEnd()}\n`
}

function linesOf(text: string): Line[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n')
  const tokens: Token[][] = lines.map(() => [])
  const kept = new Set<number>()
  const scanner = new Scanner(lines.join('\n'))
  for (let token = scanner.next(); token.type !== 'EOF'; token = scanner.next()) {
    tokens[token.line - 1]?.push(token)
    if (token.type !== 'HEREDOC') continue
    // Its own lines and the one that ends it.
    const end = token.line + String(token.value).split('\n').length
    for (let line = token.line; line < end; line++) kept.add(line)
  }
  return lines.map((line, index) => ({
    text: line,
    tokens: tokens[index] ?? [],
    isKept: kept.has(index),
  }))
}

/** What stands within a comment of several lines is not ours to move. */
function isMovable(line: string, tokens: readonly Token[]): boolean {
  const first = tokens[0]
  if (first !== undefined) return line.slice(0, first.column - 1).trim() === ''
  return /^\s*(#|\/\/|$)/.test(line)
}

function layOut(line: string, tokens: readonly Token[], indent: number): string {
  const text = isAssignment(tokens) ? withOneEqual(line, tokens) : line.trim()
  return text === '' ? '' : '  '.repeat(indent) + text
}

function isAssignment([key, sign, value]: readonly Token[]): boolean {
  return (
    (key?.type === 'IDENT' || key?.type === 'STRING') &&
    sign?.type === 'ASSIGN' &&
    value !== undefined
  )
}

function withOneEqual(line: string, [key, , value]: readonly Token[]): string {
  return `${key?.text} = ${line.slice((value?.column ?? 1) - 1).trimEnd()}`
}

/** Keys of neighbouring lines get one width. */
function alignEquals(formatted: readonly string[], lines: readonly Line[]): string[] {
  const aligned = [...formatted]
  for (let start = 0; start < aligned.length; start++) {
    let end = start
    while (end < aligned.length && isAligned(lines[end] as Line)) end++
    const keys = formatted.slice(start, end).map((line) => line.indexOf(' = '))
    const width = Math.max(0, ...keys)
    for (let index = start; index < end; index++) {
      const line = formatted[index] as string
      const at = keys[index - start] as number
      aligned[index] = line.slice(0, at).padEnd(width) + line.slice(at)
    }
    start = end
  }
  return aligned
}

function isAligned({ tokens, text }: Line): boolean {
  const last = tokens.at(-1)
  return (
    isAssignment(tokens) &&
    isMovable(text, tokens) &&
    last !== undefined &&
    !OPENERS.has(last.type) &&
    last.type !== 'HEREDOC'
  )
}
