/** What the doctor of a host has found. */

/** A note is how it is, a warning wants a look, a fault lets the wrong people in or keeps the right ones out. */
type Severity = 'note' | 'warning' | 'fault'

export interface Finding {
  readonly severity: Severity
  /** What was looked at. */
  readonly check: string
  readonly text: string
  /** The line to write, to remove or to run. */
  readonly change?: string
}

/** 0 for a sound host, 1 with warnings, 2 with faults. */
export function exitStatus(findings: readonly Finding[]): 0 | 1 | 2 {
  if (findings.some(({ severity }) => severity === 'fault')) return 2
  return findings.some(({ severity }) => severity === 'warning') ? 1 : 0
}

type MakeFinding = (check: string, text: string, change?: string) => Finding

const maker =
  (severity: Severity): MakeFinding =>
  (check, text, change) => ({ severity, check, text, ...(change !== undefined && { change }) })

export const fault: MakeFinding = maker('fault')
export const warning: MakeFinding = maker('warning')
export const note: MakeFinding = maker('note')
