import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { runCli } from '../../src/cli/run.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'

test('operator backup copies a store, and operator restore puts it back', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-backup-'))
  const store = path.join(folder, 'store.db')
  const backup = path.join(folder, 'backup.db')
  const output: string[] = []
  const run = (...words: string[]) =>
    runCli(['operator', ...words], {
      environment: {},
      home: folder,
      isInteractive: false,
      outputIsTerminal: false,
      write: (text) => output.push(text),
      writeError: (text) => output.push(text),
      readInput: async () => '',
      readHidden: async () => '',
    })
  try {
    const opened = await openSqliteStore({ path: store })
    assert.equal(await run('backup', `-store=${store}`, backup), 0, output.join(''))
    await opened.close()
    assert.ok(existsSync(backup))
    assert.equal(await run('restore', `-store=${store}`, backup), 0, output.join(''))
    assert.match(output.join(''), /Success! Backed up.*Success! Restored.*is kept as/s)
    writeFileSync(backup, 'no store at all')
    const before = readFileSync(store)
    assert.equal(await run('restore', `-store=${store}`, backup), 1)
    assert.match(output.join(''), /Error restoring: /)
    assert.deepEqual(readFileSync(store), before)
    assert.equal(await run('backup', backup), 1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
