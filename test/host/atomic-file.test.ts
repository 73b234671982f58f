/** A file that changes is whole at every moment, whichever step fails or is the last (issue 7: never without its files). */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import fs, { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { removeFile, writeFileAtomically } from '../../src/host/atomic-file.ts'

const KILLS = 5

suite('a file that is replaced', () => {
  let folder: string
  let file: string

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-file-'))
    file = path.join(folder, 'revoked.krl')
    writeFileSync(file, 'old', { mode: 0o600 })
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test('has the new content and mode, whatever the umask', () => {
    const before = process.umask(0o077)
    try {
      writeFileAtomically(file, 'new', 0o644)
    } finally {
      process.umask(before)
    }
    assert.equal(readFileSync(file, 'utf8'), 'new')
    assert.equal(statSync(file).mode & 0o7777, 0o644)
    assert.deepEqual(fs.readdirSync(folder), ['revoked.krl'])
    removeFile(file)
    assert.deepEqual(fs.readdirSync(folder), [])
  })

  const steps = ['rmSync', 'openSync', 'writeFileSync', 'fchmodSync', 'fsyncSync', 'renameSync']
  for (const step of steps) {
    test(`is the old one when ${step} fails, and the new one on the next try`, (context) => {
      const failing = context.mock.method(fs, step as 'rmSync', () => {
        throw new Error(`no ${step}`)
      })
      syncBuiltinESMExports()
      try {
        assert.throws(() => writeFileAtomically(file, 'new', 0o644), new RegExp(`no ${step}`))
      } finally {
        failing.mock.restore()
        syncBuiltinESMExports()
      }
      assert.equal(readFileSync(file, 'utf8'), 'old')
      writeFileAtomically(file, 'new', 0o644)
      assert.equal(readFileSync(file, 'utf8'), 'new')
    })
  }

  test('is never followed to where a link in the place of the new one leads', () => {
    const victim = path.join(folder, 'victim')
    writeFileSync(victim, 'precious')
    fs.symlinkSync(victim, `${file}.postern-new`)
    writeFileAtomically(file, 'new', 0o644)
    assert.equal(readFileSync(victim, 'utf8'), 'precious')
    assert.equal(readFileSync(file, 'utf8'), 'new')
  })

  test('gives its mode to nothing that is put in its place meanwhile', (context) => {
    const victim = path.join(folder, 'victim')
    writeFileSync(victim, 'precious', { mode: 0o600 })
    const write = fs.writeFileSync
    const swapping = context.mock.method(fs, 'writeFileSync', (...args: unknown[]) => {
      Reflect.apply(write, fs, args)
      fs.rmSync(`${file}.postern-new`)
      fs.symlinkSync(victim, `${file}.postern-new`)
    })
    syncBuiltinESMExports()
    try {
      writeFileAtomically(file, 'new', 0o644)
    } finally {
      swapping.mock.restore()
      syncBuiltinESMExports()
    }
    assert.equal(statSync(victim).mode & 0o7777, 0o600)
  })

  test('is whole however often its writer is killed', async () => {
    const module = path.resolve(import.meta.dirname, '../../src/host/atomic-file.ts')
    // Each content is its own checksum and something to check.
    const program = `
      import { hash } from 'node:crypto'
      import { writeFileAtomically } from ${JSON.stringify(module)}
      process.stdout.write('started')
      for (let at = 0; ; at++) {
        const text = String(at).repeat(20_000)
        writeFileAtomically(${JSON.stringify(file)}, hash('sha256', text) + text, 0o644)
      }`
    for (let kill = 0; kill < KILLS; kill++) {
      const writer: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(writer.stdout!, 'data')
      // Not a time to wait for, but one that hits every step some day.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
      writer.kill('SIGKILL')
      await once(writer, 'exit')
      const content = readFileSync(file, 'utf8')
      if (content === 'old') continue
      assert.equal(hash('sha256', content.slice(64)), content.slice(0, 64))
      assert.equal(statSync(file).mode & 0o7777, 0o644)
    }
  })
})
