/** Columns of text, four blanks between them, with dashes below the header (contract 8.1). */

const GAP = '    '

/** Ends with a line end. The last column is not padded. */
export function encodeTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [header, header.map((title) => '-'.repeat(title.length)), ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all.map((row) => `${encodeRow(row, widths)}\n`).join('')
}

function encodeRow(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0))
  return cells.join(GAP).trimEnd()
}
