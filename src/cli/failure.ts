/** How a command fails: text for stderr, and the exit status of contract 8.1 (1 local or usage, 2 server). */
import { printable } from './output/printable.ts'
import type { Terminal } from './output/terminal.ts'

export class Failure extends Error {
  override readonly name = 'Failure'
  readonly status: number
  readonly hint: string | undefined

  constructor(text: string, options: { status?: number; hint?: string | undefined } = {}) {
    super(text)
    this.status = options.status ?? 1
    this.hint = options.hint
  }
}

/** Ends a command early and well, with text for stdout instead of its own. */
export class Shown extends Error {
  override readonly name = 'Shown'
}

/** A mistake in what was typed: one line, `postern: ` before it, a hint after it. Exit status 1. */
export function usageFailure(text: string, hint?: string): Failure {
  return new Failure(`postern: ${text}`, { hint })
}

/** What stderr shows: the first line in red where there is colour. */
export function failureText({ message, hint }: Failure, terminal: Terminal): string {
  const hintLine = hint === undefined ? '' : `hint: ${printable(hint)}\n`
  const [first = '', ...others] = printable(message).split('\n')
  return [painted(terminal, 31, first), ...others].join('\n').concat('\n', hintLine)
}

/** What stderr shows of a warning: its first word in yellow where there is colour. */
export function warningText(text: string, terminal: Terminal): string {
  return `${painted(terminal, 33, 'warning:')} ${printable(text)}\n`
}

function painted(terminal: Terminal, color: number, text: string): string {
  return terminal.hasColor ? `\x1b[${color}m${text}\x1b[0m` : text
}
