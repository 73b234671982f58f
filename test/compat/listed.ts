/**
 * The differences that `docs/compat.md` lists, and the records that `pending.txt` puts off: the one source
 * of what may differ from the recording.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Difference } from './difference.ts'
import { type Answer, groupOf, matchesGlob, recordedExchanges } from './record.ts'

const COMPAT_PAGE = path.resolve(import.meta.dirname, '../../docs/compat.md')
const PENDING_FILE = path.join(import.meta.dirname, 'pending.txt')

export interface ListedDifference {
  /** A record's name; `*` stands for any text. */
  readonly record: string
  /** `answer` for all of it, else the place as in `Difference.where`; `*` stands for any text. */
  readonly where: string
  /** What Postern gives there. */
  readonly allows: (actual: string) => boolean
  readonly line: string
}

export interface PendingRecords {
  readonly record: string
  readonly count: number
  readonly reason: string
}

/** The rows of the table between the two `replayed differences` comments. */
export function listedDifferences(
  page: string = readFileSync(COMPAT_PAGE, 'utf8'),
): ListedDifference[] {
  const table = /<!-- replayed differences -->([\s\S]*)<!-- end of replayed differences -->/.exec(
    page,
  )
  if (!table?.[1]) throw new Error('docs/compat.md has no table of replayed differences')
  const rows = table[1].split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap(parseRow)
}

/** A row may name several records, parted by blanks; each is then a difference of its own. */
function parseRow(line: string): ListedDifference[] {
  const cells = line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
  const [records, where, value, reason, client] = cells
  if (cells.length !== 5 || !records || !where || !value || !reason || !client) {
    throw new Error(`docs/compat.md: this row needs five filled cells: ${line}`)
  }
  const allows = valueTest(unquoted(value))
  return records
    .split(/\s+/)
    .map((record) => ({ record: unquoted(record), where: unquoted(where), allows, line }))
}

function valueTest(value: string): ListedDifference['allows'] {
  const pattern = /^\/(.*)\/$/.exec(value)?.[1]
  if (pattern !== undefined) return (actual) => new RegExp(pattern).test(actual)
  return (actual) => actual === value
}

function unquoted(cell: string): string {
  return /^`(.*)`$/.exec(cell)?.[1] ?? cell
}

/** True when the row speaks of this difference and says what the server really gave. */
export function covers(
  row: ListedDifference,
  name: string,
  difference: Difference,
  live: Answer,
): boolean {
  if (!matchesGlob(row.record, name)) return false
  if (row.where === 'answer') return row.allows(answerText(live))
  return matchesGlob(row.where, difference.where) && row.allows(valueText(difference.actual))
}

/** Status and body on one line, as the table writes an answer. */
export function answerText({ status, response_body: body }: Answer): string {
  return body === null ? `${status}` : `${status} ${JSON.stringify(body)}`
}

/** JSON, or `(absent)`. */
export function valueText(value: unknown): string {
  return value === '(absent)' ? value : JSON.stringify(value)
}

/** Lines of `record count reason`; a wrong count or an unknown record throws. */
export function pendingRecords(): PendingRecords[] {
  const rows = readFileSync(PENDING_FILE, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  return rows.map((line) => {
    const match = /^(\S+) +(\d+) +(\S.*)$/.exec(line)
    if (!match?.[1] || !match[3]) throw new Error(`pending.txt: not "record count reason": ${line}`)
    const [record, count, reason] = [match[1], Number(match[2]), match[3]]
    const found = recordedExchanges().filter(({ name }) => matchesGlob(record, name)).length
    if (found !== count) throw new Error(`pending.txt: ${record} says ${count}, there are ${found}`)
    return { record, count, reason }
  })
}

/** The rows that can be judged by replaying one group. */
export function rowsOfGroup(rows: readonly ListedDifference[], group: string): ListedDifference[] {
  return rows.filter(({ record }) => groupOf(record) === group)
}
