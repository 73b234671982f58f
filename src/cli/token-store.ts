/**
 * Where the token of a login is kept (contract 8.1): `~/.vault-token`, mode 0600, no line end, or a program that
 * `token_helper` in `~/.vault` names and that is run with get, store or erase.
 */
import {
  closeSync,
  existsSync,
  fchmodSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { lookUpVariable } from '../client/environment.ts'
import { Failure } from './failure.ts'
import type { Terminal } from './output/terminal.ts'

type Place = Pick<Terminal, 'environment' | 'home'>

/** The stored token; undefined when there is none. Throws a Failure when the helper fails. */
export async function readStoredToken(place: Place): Promise<string | undefined> {
  const helper = await tokenHelper(place)
  if (helper) return (await runHelper(helper, 'get', place)).trim() || undefined
  try {
    return readFileSync(tokenFile(place), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/** Gives the place in words: a file's path or the helper. Throws a Failure. */
export async function storeToken(place: Place, token: string): Promise<string> {
  const helper = await tokenHelper(place)
  if (helper) {
    await runHelper(helper, 'store', place, token)
    return `the token helper ${helper}`
  }
  const file = tokenFile(place)
  writePrivately(file, token)
  return file
}

/** Throws a Failure when the helper fails. */
export async function eraseToken(place: Place): Promise<void> {
  const helper = await tokenHelper(place)
  if (helper) await runHelper(helper, 'erase', place)
  else rmSync(tokenFile(place), { force: true })
}

function tokenFile({ environment, home }: Place): string {
  return lookUpVariable(environment, 'TOKEN_PATH')?.value ?? path.join(home, '.vault-token')
}

/** Replaces the file as a whole, so that it never holds half a token nor keeps another file's mode. */
function writePrivately(file: string, token: string): void {
  const temporary = `${file}.${process.pid}`
  try {
    // Whatever stands there by that name is not written to: it may be a link.
    rmSync(temporary, { force: true })
    const descriptor = openSync(temporary, 'wx', 0o600)
    try {
      fchmodSync(descriptor, 0o600)
      writeSync(descriptor, token)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, file)
  } catch (error) {
    if (existsSync(temporary)) rmSync(temporary)
    throw new Failure(`postern: the token could not be kept: ${(error as Error).message}`, {
      hint: '-no-store keeps it nowhere, POSTERN_TOKEN_PATH names another file',
    })
  }
}

async function tokenHelper({ environment, home }: Place): Promise<string | undefined> {
  const file = lookUpVariable(environment, 'CONFIG_PATH')?.value ?? path.join(home, '.vault')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  const { parseHcl } = await import('../hcl/parse.ts')
  try {
    const entry = parseHcl(text).entries.findLast(({ key }) => key === 'token_helper')
    if (entry === undefined) return undefined
    if (entry.value.kind === 'string') return entry.value.value || undefined
    throw new Error('token_helper is no text')
  } catch (error) {
    throw new Failure(`postern: ${file}: ${(error as Error).message}`)
  }
}

/** As the family runs it: through the shell, the operation behind it, the token on its standard input. */
async function runHelper(
  helper: string,
  operation: 'get' | 'store' | 'erase',
  { environment }: Place,
  input = '',
): Promise<string> {
  const { spawnSync } = await import('node:child_process')
  const run = spawnSync('/bin/sh', ['-c', `${helper} ${operation}`], {
    input,
    env: environment as NodeJS.ProcessEnv,
    encoding: 'utf8',
  })
  if (run.status === 0) return run.stdout
  const reason = run.stderr?.trim() || run.error?.message || `exit status ${run.status}`
  throw new Failure(`postern: the token helper ${helper} ${operation} failed: ${reason}`)
}
