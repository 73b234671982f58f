/**
 * Writes the pages of docs/ that have a source in the code: `npm run docs` writes them, `-- --check`
 * only says which are stale, with exit code 1.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { errorCodes } from '../src/errors.ts'
import { apiPage } from './api-page.ts'
import { cliPage } from './cli-page.ts'

/** A page and its text. A new generated page is one row here. */
const pages: Record<string, () => string> = {
  'docs/api.md': apiPage,
  'docs/cli.md': cliPage,
  'docs/errors.md': errorsPage,
}

/** The generated pages whose text on disk is not the one that their source gives. */
export function staleDocs(root: string): string[] {
  return Object.entries(pages)
    .filter(([file, text]) => read(path.join(root, file)) !== text())
    .map(([file]) => file)
}

function writeDocs(root: string): void {
  for (const [file, text] of Object.entries(pages)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), text())
  }
}

function errorsPage(): string {
  const rows = Object.entries(errorCodes).map(
    ([code, { status, text }]) => `| \`${code}\` | ${status} | ${text} |`,
  )
  return `<!-- Generated from src/errors.ts by npm run docs. -->
# Error codes

Every error that a caller can see has one of these codes. The code stands in the server log beside the
request id; the API shows the status and \`{"errors": [text]}\`. Where a more exact text is known it replaces
the one below. A code is never used again for something else.

| Code | Status | Text |
|---|---|---|
${rows.join('\n')}
`
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

// Not import.meta.main: bin/run.js imports its script.
if (process.argv[1] === import.meta.filename) {
  const root = path.resolve(import.meta.dirname, '..')
  if (process.argv.includes('--check')) {
    const stale = staleDocs(root)
    for (const file of stale) process.stdout.write(`${file} is stale; run npm run docs\n`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    writeDocs(root)
  }
}
