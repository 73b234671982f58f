/** What tests of `postern host` share: the program in a box, a CA, and certificates of it. */
import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Box, BoxRun } from './boxes.ts'

const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')

/** The words that start `postern` in a box, as plain Node. */
export function posternWords(...args: readonly string[]): string[] {
  return [process.execPath, BIN, ...args]
}

export function posternIn(box: Box, ...args: readonly string[]): Promise<BoxRun> {
  return box.run(posternWords(...args))
}

export interface TestCa extends Disposable {
  /** Of the public key; the boxes see it too. */
  readonly file: string
  readonly key: string
  /** A certificate for the key, made by ssh-keygen. */
  certificate(principal: string): string
}

export function makeTestCa(): TestCa {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-ca-'))
  const at = (name: string) => path.join(folder, name)
  for (const name of ['ca', 'key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)])
  }
  return {
    file: at('ca.pub'),
    key: at('key'),
    certificate: (principal) => {
      const name = principal.replace(/[^a-z0-9]/g, '_')
      execFileSync('cp', [at('key.pub'), at(`${name}.pub`)])
      const times = ['-V', '-5m:+5m', '-I', 'test', '-n', principal]
      execFileSync('ssh-keygen', ['-q', '-s', at('ca'), ...times, at(`${name}.pub`)])
      return at(`${name}-cert.pub`)
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  }
}

/** The hashes of all files that a box has below these folders, by path. */
export async function filesOf(
  box: Box,
  ...folders: readonly string[]
): Promise<Map<string, string>> {
  const list = await box.shell(`find ${folders.join(' ')} -type f 2>/dev/null | sort; true`)
  const files = list.trim().split('\n')
  return new Map(
    files.map((file) => [file, hash('sha256', readFileSync(path.join(box.root, file)))]),
  )
}
