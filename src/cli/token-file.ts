/** The file that keeps the token of a login: `~/.vault-token`, mode 0600, no line end (contract 8.1). */
import { closeSync, fchmodSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import path from 'node:path'
import { lookUpVariable } from '../client/environment.ts'
import type { Terminal } from './terminal.ts'

export function tokenFile({ environment, home }: Pick<Terminal, 'environment' | 'home'>): string {
  return lookUpVariable(environment, 'TOKEN_PATH')?.value ?? path.join(home, '.vault-token')
}

/** The stored token; undefined when there is none. */
export function readTokenFile(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/** Replaces the file as a whole, so that it never holds half a token nor keeps another file's mode. */
export function writeTokenFile(file: string, token: string): void {
  const temporary = `${file}.${process.pid}`
  const descriptor = openSync(temporary, 'w', 0o600)
  try {
    fchmodSync(descriptor, 0o600)
    writeSync(descriptor, token)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, file)
}
