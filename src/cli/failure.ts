/** How a command fails: text for stderr, and the exit status of contract 8.1 (1 local or usage, 2 server). */

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

/** A mistake in what was typed: one line, `postern: ` before it, a hint after it. Exit status 1. */
export function usageFailure(text: string, hint?: string): Failure {
  return new Failure(`postern: ${text}`, { hint })
}
