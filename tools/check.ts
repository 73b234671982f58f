/**
 * `npm run check`: the one gate without tests. Every part runs, also after a failure; each prints one
 * line, and what it found when it found something.
 */
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { lockfileProblems } from './check-lockfile.ts'
import { treeProblems } from './check-tree.ts'
import { staleDocs } from './generate-docs.ts'

const root = path.resolve(import.meta.dirname, '..')
process.chdir(root)

/** What is wrong, as text to show; empty when all is well. */
type Check = () => string

const checks: Record<string, Check> = {
  'format and lint': command('biome', ['ci', '--colors=off', '--error-on-warnings']),
  types: command('tsc', ['--pretty', 'false']),
  'import rules': importRules,
  'unused code': command('knip', ['--no-progress', '--treat-config-hints-as-errors']),
  lockfile: () => lockfileProblems(root).join('\n'),
  'generated docs': () => staleDocs(root).map(staleText).join('\n'),
  'own paths and hosts': () => treeProblems(root).join('\n'),
}

let failed = false
for (const [name, check] of Object.entries(checks)) {
  const started = performance.now()
  const problem = check()
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${problem === '' ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`)
  if (problem !== '') {
    failed = true
    process.stdout.write(`${problem.trimEnd()}\n`)
  }
}
process.exitCode = failed ? 1 : 0

function command(program: string, args: readonly string[]): Check {
  return () => {
    const run = spawnSync(path.join('node_modules/.bin', program), args, { encoding: 'utf8' })
    if (run.error) return run.error.message
    return run.status === 0 ? '' : `${run.stdout}${run.stderr}` || `exit status ${run.status}`
  }
}

function importRules(): string {
  // Tests use syntax (`using`) that its parser does not know; tsc resolves their imports.
  const args = ['src', 'bin', '--config', '.dependency-cruiser.mjs']
  const json = spawnSync('node_modules/.bin/depcruise', [...args, '--output-type', 'json'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (json.error) return json.error.message
  let summary: { violations: Violation[]; totalCruised: number }
  try {
    summary = JSON.parse(json.stdout).summary
  } catch {
    return json.stdout + json.stderr
  }
  // Without a parser for TypeScript it sees nothing, and is content.
  if (summary.totalCruised === 0) return 'dependency-cruiser saw no module'
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).join('\n')
}

interface Violation {
  readonly rule: { readonly name: string }
  readonly from: string
  readonly to: string
}

function staleText(file: string): string {
  return `${file} is not what its source says; run npm run docs`
}
