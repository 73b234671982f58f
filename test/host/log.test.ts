import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { oneLine, writeSyslog } from '../../src/host/log.ts'

test('a line has no character that ends it or steers a terminal, and an end', () => {
  assert.equal(oneLine('a\nb\x1b[2Jc\u2028d'), 'a?b?[2Jc?d')
  assert.equal(oneLine('x'.repeat(9999)).length, 512)
})

test('logger gets the line on stdin and not among its arguments', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-log-'))
  try {
    const logger = path.join(folder, 'logger')
    writeFileSync(logger, `#!/bin/sh\necho "$@" > ${folder}/args\ncat > ${folder}/line\n`)
    chmodSync(logger, 0o755)
    writeSyslog('refused "a\nb": username mismatch', logger)
    assert.equal(readFileSync(`${folder}/line`, 'utf8'), 'refused "a?b": username mismatch\n')
    assert.match(readFileSync(`${folder}/args`, 'utf8'), /^--tag postern-host/)
    assert.doesNotMatch(readFileSync(`${folder}/args`, 'utf8'), /mismatch/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a machine without logger goes on', () => {
  assert.doesNotThrow(() => writeSyslog('x', '/nonexistent/logger'))
})
