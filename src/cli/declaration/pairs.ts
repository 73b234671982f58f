/** `key=value` words as data (contract 8.2): values are strings, files and standard input where asked for. */
import { readFileSync } from 'node:fs'
import { isObject, type JsonObject, parseJson } from '../../client/json.ts'
import { usageFailure } from '../failure.ts'

/** Standard input, which can be read once only. */
export type ReadInput = () => Promise<string>

/**
 * `k=v`, `k=@file`, `k=-` (standard input), `@file` and `-` (a JSON object). A backslash before `@` or `-`
 * stands for the character itself; a repeated key becomes a list. Throws a Failure that names the word.
 */
export async function readPairs(
  words: readonly string[],
  readInput: ReadInput,
): Promise<JsonObject> {
  const readers = words.filter((word) => word === '-' || /^(?!@)[^=]+=-$/.test(word))
  if (readers.length > 1) {
    throw usageFailure(
      `standard input can be read once only: ${readers.join(' ')}`,
      'the others are read from a file with @FILE',
    )
  }
  const data = new Map<string, JsonObject[string]>()
  for (const word of words) {
    if (word === '-' || word.startsWith('@')) {
      const text = word === '-' ? await readInput() : readText(word.slice(1))
      for (const [key, value] of Object.entries(jsonObject(text, word))) data.set(key, value)
      continue
    }
    const [key, value] = splitPair(word)
    const text = await readValue(value, readInput)
    const earlier = data.get(key)
    if (earlier === undefined) data.set(key, text)
    else data.set(key, Array.isArray(earlier) ? [...earlier, text] : [earlier, text])
  }
  return Object.fromEntries(data)
}

/** `k=v` as a pair. Throws a Failure for a word without `=`. */
export function splitPair(word: string): [key: string, value: string] {
  const at = word.indexOf('=')
  if (at > 0) return [word.slice(0, at), word.slice(at + 1)]
  throw usageFailure(`not of the form key=value: ${word}`, 'key=@file reads a file, - reads JSON')
}

const SECRET_KEY =
  /^(password|passcode|secret_id|token|client_token|jwt|otp|private_key|.*_secret)$/
/** A key half or share under any name: PEM, or the value of `key`, which roles use for names too. */
const SECRET_VALUE = /^-----BEGIN /

/** The key of a `k=v` word that spells a secret out; undefined for other words. */
export function secretKey(word: string): string | undefined {
  const [, key = '', value = ''] = /^([^=]+)=([\s\S]+)$/.exec(word) ?? []
  if (value === '' || value === '-' || value.startsWith('@')) return undefined
  return SECRET_KEY.test(key) || SECRET_VALUE.test(value) ? key : undefined
}

async function readValue(value: string, readInput: ReadInput): Promise<string> {
  if (value === '-') return await readInput()
  if (value.startsWith('@')) return readText(value.slice(1))
  return /^\\[@-]/.test(value) ? value.slice(1) : value
}

/** A file's text. Throws a Failure that names it. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw usageFailure(`can't read ${file}: ${(error as Error).message}`)
  }
}

function jsonObject(text: string, word: string): JsonObject {
  const value = parseJson(text)
  if (isObject(value)) return value
  throw usageFailure(`${word === '-' ? 'standard input' : word.slice(1)} holds no JSON object`)
}
