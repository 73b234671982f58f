/**
 * Reads one block of the config file by its known keys: typed values out, errors with file, line
 * and key.
 */
import { parseDuration } from '../duration.ts'
import { PosternError } from '../errors.ts'
import { blocksOf, describeKind, type HclBlock } from '../hcl/block.ts'
import type { HclEntry, HclObject, HclValue } from '../hcl/value.ts'
import { nearestName } from './suggestion.ts'

/** The file that is being read, and what its writer should know though it is no error. */
export interface ConfigFile {
  readonly name: string
  readonly warnings: string[]
}

export interface KnownKeys {
  /** May be given once. */
  readonly settings: readonly string[]
  /** May be repeated. */
  readonly blocks?: readonly string[]
  /** Known to the family and of no use here: a warning. */
  readonly idle?: readonly string[]
}

const BOOLS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
])

/**
 * Values of absent keys are undefined or empty; a value of the wrong kind is an `invalid_config`.
 * No value is ever shown: it may be a secret.
 */
export class BlockReader {
  readonly #file: ConfigFile
  readonly #title: string
  readonly #line: number
  readonly #entries = new Map<string, HclEntry[]>()

  /** `title` names the block in messages and is empty for the file itself. */
  constructor(file: ConfigFile, title: string, body: HclObject, known: KnownKeys) {
    this.#file = file
    this.#title = title
    this.#line = body.line
    const blocks = new Set(known.blocks)
    const settings = new Set(known.settings)
    const idle = new Set(known.idle)
    for (const entry of body.entries) {
      const { key } = entry
      if (idle.has(key)) {
        file.warnings.push(this.#text(entry.line, `${JSON.stringify(key)} has no effect here`))
      } else if (settings.has(key) || blocks.has(key)) {
        const earlier = this.#entries.get(key) ?? []
        if (earlier.length > 0 && settings.has(key))
          this.fail(`${JSON.stringify(key)} is given twice`, entry.line)
        earlier.push(entry)
        this.#entries.set(key, earlier)
      } else {
        const nearest = nearestName(key, [...settings, ...blocks])
        const hint = nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest)}?`
        this.fail(`${JSON.stringify(key)} is no known key${hint}`, entry.line)
      }
    }
  }

  /** Throws, with the line of the block when no other is given. */
  fail(problem: string, line: number = this.#line): never {
    throw new PosternError('invalid_config', this.#text(line, problem))
  }

  /** Throws, with the line of a key. */
  failAt(key: string, problem: string): never {
    this.fail(`${JSON.stringify(key)} ${problem}`, this.#entries.get(key)?.[0]?.line)
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  string(key: string): string | undefined {
    return this.#read(key, 'a text', (value) => (value.kind === 'string' ? value.value : undefined))
  }

  /** A text that has to be there and not be empty. */
  required(key: string, expected: string): string {
    const text = this.string(key)
    if (text === undefined) this.fail(`${JSON.stringify(key)} is missing: ${expected}`)
    if (text === '') this.failAt(key, `is empty: ${expected}`)
    return text
  }

  bool(key: string): boolean | undefined {
    return this.#read(key, 'true or false', (value) => {
      if (value.kind === 'bool') return value.value
      if (value.kind === 'number') return BOOLS.get(value.text)
      return value.kind === 'string' ? BOOLS.get(value.value) : undefined
    })
  }

  /** A number of at least `least`, whole unless `fraction` is set. */
  number(key: string, least: number, fraction = false): number | undefined {
    const expected = `a ${fraction ? '' : 'whole '}number of at least ${least}`
    return this.#read(key, expected, (value) => {
      const number = numberOf(value)
      const fits = number >= least && (fraction || Number.isSafeInteger(number))
      return fits ? number : undefined
    })
  }

  /** Seconds, from text such as `90s` or `1h30m` or from a number. */
  duration(key: string): number | undefined {
    return this.#read(key, 'a duration such as "90s" or "1h30m"', (value) => {
      const seconds = value.kind === 'string' ? secondsOf(value.value) : numberOf(value)
      return seconds >= 0 ? seconds : undefined
    })
  }

  oneOf<T>(key: string, choices: ReadonlyMap<string, T>): T | undefined {
    const expected = `one of ${[...choices.keys()].join(', ')}`
    return this.#read(key, expected, (value) =>
      value.kind === 'string' || value.kind === 'number'
        ? choices.get(String(value.value).toLowerCase())
        : undefined,
    )
  }

  /** A list of texts, or one text with commas. */
  list(key: string): readonly string[] {
    const texts = this.#read(key, 'a list of texts', (value) => {
      if (value.kind === 'string') return value.value.split(',')
      if (value.kind !== 'list') return undefined
      const items = value.items.map((item) => (item.kind === 'string' ? item.value : undefined))
      return items.every((item) => item !== undefined) ? items : undefined
    })
    return (texts ?? []).map((text) => text.trim()).filter((text) => text !== '')
  }

  /** The members of an object, in any scalar form, as text. */
  texts(key: string): ReadonlyMap<string, string> {
    const texts = new Map<string, string>()
    for (const block of this.blocks(key, 0)) {
      for (const { key: name, value, line } of block.body.entries) {
        const text = scalarText(value)
        if (text === undefined) {
          this.fail(
            `${JSON.stringify(name)} in ${key}: expected a text, got ${describeKind(value)}`,
            line,
          )
        }
        if (texts.has(name)) this.fail(`${JSON.stringify(name)} in ${key} is given twice`, line)
        texts.set(name, text)
      }
    }
    return texts
  }

  /** Every block of this name, in the order of the file. */
  blocks(key: string, labelCount: number): HclBlock[] {
    return (this.#entries.get(key) ?? []).flatMap((entry) => blocksOf(entry, labelCount))
  }

  #read<T>(
    key: string,
    expected: string,
    convert: (value: HclValue) => T | undefined,
  ): T | undefined {
    const entry = this.#entries.get(key)?.[0]
    if (entry === undefined) return undefined
    const value = entry.labels.length === 0 ? convert(entry.value) : undefined
    if (value === undefined) this.failAt(key, `is not what is expected: ${expected}`)
    return value
  }

  #text(line: number, problem: string): string {
    const place = this.#title === '' ? '' : `${this.#title}: `
    return `${this.#file.name}:${line}: ${place}${problem}`
  }
}

function numberOf(value: HclValue): number {
  if (value.kind === 'number') return value.value
  const isNumber = value.kind === 'string' && /^[0-9]{1,15}(?:\.[0-9]{1,9})?$/.test(value.value)
  return isNumber ? Number(value.value) : Number.NaN
}

function secondsOf(text: string): number {
  try {
    return text.trim() === '' ? Number.NaN : parseDuration(text)
  } catch {
    return Number.NaN
  }
}

/** Numbers as written, so that the mode `0600` stays one. */
function scalarText(value: HclValue): string | undefined {
  if (value.kind === 'number') return value.text
  return value.kind === 'string' || value.kind === 'bool' ? String(value.value) : undefined
}
