/** Reads the key of a static seal from where the config says it is: 32 bytes, or their hex or base64. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { PosternError } from '../errors.ts'
import type { KeySource } from './server-config.ts'

const KEY_BYTES = 32

/** Throws `invalid_config` naming the place, never the content. */
export function readSealKey(source: KeySource): Buffer {
  const place = placeOf(source)
  const key = parseKey(readSource(source, place))
  if (key) return key
  throw new PosternError(
    'invalid_config',
    `the seal key in ${place} is not 32 bytes, raw or in hex or base64`,
  )
}

function placeOf(source: KeySource): string {
  if (source.from === 'env') return `environment variable ${source.name}`
  return source.from === 'file' ? source.path : `credential ${source.name}`
}

function readSource(source: KeySource, place: string): Buffer {
  if (source.from === 'env') {
    const text = process.env[source.name]
    if (text === undefined)
      throw new PosternError('invalid_config', `the seal key's ${place} is not set`)
    return Buffer.from(text)
  }
  try {
    return readFileSync(source.from === 'file' ? source.path : credentialPath(source.name))
  } catch (cause) {
    if (cause instanceof PosternError) throw cause
    throw new PosternError(
      'invalid_config',
      `the seal key in ${place} can't be read: ${(cause as Error).message}`,
      { cause },
    )
  }
}

function credentialPath(name: string): string {
  const folder = process.env['CREDENTIALS_DIRECTORY']
  if (folder) return path.join(folder, path.basename(name))
  throw new PosternError(
    'invalid_config',
    `the seal key is the systemd credential "${name}", and CREDENTIALS_DIRECTORY is not set: start by a unit with LoadCredential=${name}:FILE`,
  )
}

function parseKey(bytes: Buffer): Buffer | undefined {
  if (bytes.length === KEY_BYTES) return bytes
  const text = bytes.toString('latin1').trim()
  bytes.fill(0)
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  const key = Buffer.from(text, 'base64')
  return key.length === KEY_BYTES &&
    key.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')
    ? key
    : undefined
}
