/** The vectors, and the real ssh-keygen as oracle. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { decodeBase64 } from '../../src/ssh/base64.ts'
import { parseAuthorizedKey } from '../../src/ssh/key/authorized-keys.ts'
import { type PrivateKey, parsePrivateKey } from '../../src/ssh/key/private-key.ts'
import type { PublicKey } from '../../src/ssh/key/public-key.ts'

const vectors = path.resolve(import.meta.dirname, '../vectors')

export const subjectNames: readonly string[] = [
  'rsa',
  'p256',
  'p384',
  'p521',
  'ed25519',
  'sk-ed25519',
  'sk-ecdsa',
]
export const caNames: readonly string[] = ['rsa', 'p256', 'p384', 'p521', 'ed25519']

/** The bytes of a file of test/vectors. */
export function vectorFile(file: string): Buffer {
  return readFileSync(path.join(vectors, file))
}

export function vector(file: string): string {
  return vectorFile(`ssh/${file}`).toString()
}

export function vectorBlob(file: string): Buffer {
  return decodeBase64(vector(file).split(' ')[1] ?? '')
}

export function vectorPublicKey(name: string): PublicKey {
  return parseAuthorizedKey(vector(`${name}.pub`))
}

export function vectorPrivateKey(name: string): PrivateKey {
  return parsePrivateKey(vector(`${name}.key`))
}

/** Standard output of ssh-keygen with `input` on its standard input; fails when it refuses. */
export function sshKeygen(args: readonly string[], input: string): string {
  const run = spawnSync('ssh-keygen', args, {
    input,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8' },
  })
  assert.equal(run.status, 0, `ssh-keygen ${args.join(' ')}: ${run.stderr}${run.error ?? ''}`)
  return run.stdout
}

/** Likewise for commands that read a private key, which they do from a file only. */
export function sshKeygenOnFile(args: readonly string[], content: string | Uint8Array): string {
  const temporary = mkdtempSync(path.join(tmpdir(), 'postern-ssh-'))
  try {
    const file = path.join(temporary, 'key')
    writeFileSync(file, content, { mode: 0o600 })
    return sshKeygen([...args, '-f', file], '')
  } finally {
    rmSync(temporary, { recursive: true })
  }
}
