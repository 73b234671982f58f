/** The dependency rules of `npm run check` find what they are there to find (protocols 6.3). */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { lockfileProblems } from '../../tools/check-lockfile.ts'

const sound = {
  version: '1.0.0',
  resolved: 'https://registry.npmjs.org/a/-/a-1.0.0.tgz',
  integrity: 'sha512-x',
}

function problemsOf(packages: Record<string, object>, version = '1.0.0', npmrc?: string): string[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-lockfile-'))
  try {
    const write = (name: string, text: string): void => writeFileSync(path.join(folder, name), text)
    write('package.json', JSON.stringify({ dependencies: { a: version } }))
    write('package-lock.json', JSON.stringify({ packages: { '': {}, ...packages } }))
    write('.npmrc', npmrc ?? 'ignore-scripts=true\n')
    return lockfileProblems(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('a sound lockfile has no problems', () => {
  assert.deepEqual(problemsOf({ 'node_modules/a': sound }), [])
})

test('protocols 6.3: an entry without integrity is refused', () => {
  const { integrity: _, ...entry } = sound
  assert.deepEqual(problemsOf({ 'node_modules/a': entry }), ['node_modules/a has no integrity'])
})

test('protocols 6.3: an install script outside the named list is refused', () => {
  const [problem] = problemsOf({ 'node_modules/a': { ...sound, hasInstallScript: true } })
  assert.match(problem ?? '', /install script/)
})

test('protocols 6.3: more than 40 production packages are refused, development ones do not count', () => {
  const packages = (count: number, dev: boolean): Record<string, object> =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`node_modules/${dev}-${i}`, { ...sound, dev }]),
    )
  assert.deepEqual(problemsOf({ ...packages(40, false), ...packages(9, true) }), [])
  assert.equal(problemsOf(packages(41, false)).length, 1)
})

test('a version range and another registry are refused', () => {
  assert.equal(problemsOf({ 'node_modules/a': sound }, '^1.0.0').length, 1)
  for (const resolved of ['http://registry.npmjs.org/a.tgz', 'https://mirror.example/a.tgz']) {
    assert.equal(problemsOf({ 'node_modules/a': { ...sound, resolved } }).length, 1)
  }
})

test('protocols 6.3: npm has to be told not to run install scripts', () => {
  assert.equal(problemsOf({ 'node_modules/a': sound }, '1.0.0', 'save-exact=true\n').length, 1)
})

test('only a development tool for another platform may lack its checksum', () => {
  const { integrity: _, ...entry } = { ...sound, dev: true, optional: true }
  const problemCount = (change: object): number =>
    problemsOf({ 'node_modules/a': { ...entry, ...change } }).length
  assert.equal(problemCount({ os: ['darwin'], cpu: ['x64'] }), 0)
  assert.equal(problemCount({ os: ['linux'], cpu: ['x64'] }), 1)
  assert.equal(problemCount({ os: ['darwin'], cpu: ['x64'], dev: false }), 1)
  assert.equal(problemCount({}), 1)
})
