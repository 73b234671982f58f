/**
 * `npm test [-- unit|e2e] [-- part of a file name …]`: first the unit tests, all in one process, then the
 * end-to-end tests, a process a file. Both end in one summary, and a run without tests is a failure.
 */
import { globSync } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec as SpecReporter } from 'node:test/reporters'
import { ensurePackages, testPackages } from './debian-packages.ts'

type TestEvent = { readonly type: string; readonly data: unknown }

const END_TO_END = ['test/e2e/', 'test/compat/']
const SUITES = ['unit', 'e2e']

const root = path.resolve(import.meta.dirname, '..')
process.chdir(root)

const args = process.argv.slice(2)
const suites = args.filter((arg) => SUITES.includes(arg))
const filters = args.filter((arg) => !SUITES.includes(arg))
const files = globSync('test/**/*.test.ts')
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  .sort()
const isEndToEnd = (file: string): boolean => END_TO_END.some((prefix) => file.startsWith(prefix))
const wants = (suite: string): boolean => suites.length === 0 || suites.includes(suite)

if (!ensurePackages(testPackages)) process.exit(1)

const totals = new Map<string, number>()
let failed = false
Readable.from(allEvents()).compose(new SpecReporter()).pipe(process.stdout)

/** The events of both passes as those of one run: the counts of each pass become sums at the end. */
async function* allEvents(): AsyncGenerator<TestEvent> {
  const started = performance.now()
  const units = wants('unit') ? files.filter((file) => !isEndToEnd(file)) : []
  const ends = wants('e2e') ? files.filter(isEndToEnd) : []
  if (units.length > 0) {
    // One process for all: starting one for each file would cost more than the tests themselves.
    const argv = units.map((file) => path.resolve(file))
    yield* passEvents({ files: [path.resolve('tools/unit-tests.ts')], argv, timeout: 300_000 })
  }
  if (ends.length > 0) {
    yield* passEvents({
      files: ends.map((file) => path.resolve(file)),
      concurrency: 2,
      timeout: 600_000,
    })
  }
  const count = totals.get('tests') ?? 0
  if (count === 0) process.stderr.write('no test has run\n')
  process.exitCode = failed || count === 0 ? 1 : 0
  totals.set('duration_ms', performance.now() - started)
  for (const [name, sum] of totals) {
    yield {
      type: 'test:diagnostic',
      data: { nesting: 0, message: `${name} ${sum}`, level: 'info' },
    }
  }
  yield { type: 'test:summary', data: { success: !failed, counts: Object.fromEntries(totals) } }
}

async function* passEvents(options: Parameters<typeof run>[0]): AsyncGenerator<TestEvent> {
  for await (const event of run({ ...options, cwd: root }) as AsyncIterable<TestEvent>) {
    if (event.type === 'test:fail') failed = true
    if (event.type === 'test:summary') {
      // A file that ran no test, or died after its tests, shows here only.
      const summary = event.data as { success: boolean }
      if (!summary.success) failed = true
      continue
    }
    if (event.type === 'test:diagnostic' && addToTotals(event.data)) continue
    yield event
  }
}

function addToTotals(data: unknown): boolean {
  const { nesting, message } = data as { nesting: number; message: string }
  const match = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/.exec(
    message,
  )
  if (nesting !== 0 || !match?.[1]) return false
  totals.set(match[1], (totals.get(match[1]) ?? 0) + Number(match[2]))
  return true
}
