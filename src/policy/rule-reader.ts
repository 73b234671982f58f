/** Reads the typed members of one path block of a policy (contract 4.1). */
import { parseDuration } from '../duration.ts'
import { entriesOf, plainValue } from '../hcl/block.ts'
import { HclError } from '../hcl/error.ts'
import type { HclEntry, HclObject } from '../hcl/value.ts'
import { ParameterCollector } from './merge.ts'
import type { ParameterRules } from './policy.ts'

/** What is wrong with a policy's text, in the family's words. */
export class RuleTextError extends Error {
  override readonly name = 'RuleTextError'
}

const RFC3339 = /^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]+(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$/

/**
 * Each method gives undefined or an empty collection when the key is absent; throws when its value
 * is of another kind.
 */
export class RuleReader {
  readonly #title: string
  readonly #entries = new Map<string, HclEntry>()

  /** A key that is given twice is refused: which of two rules counts must not be a guess. */
  constructor(title: string, body: HclObject) {
    this.#title = title
    for (const entry of body.entries) {
      const { key } = entry
      if (this.#entries.has(key)) {
        throw new HclError(
          entry,
          `The argument ${JSON.stringify(key)} was already set. Each argument can only be defined once`,
        )
      }
      this.#entries.set(key, entry)
    }
  }

  fail(problem: string): never {
    throw new RuleTextError(`${this.#title}: ${problem}`)
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  string(key: string): string | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.value.kind !== 'string') this.#expected(entry, 'a string')
    return entry.value.value
  }

  strings(key: string): string[] {
    const entry = this.#entries.get(key)
    if (entry === undefined) return []
    if (entry.value.kind !== 'list') this.#expected(entry, 'a list of strings')
    return entry.value.items.map((item) => {
      if (item.kind !== 'string') this.#expected(entry, 'a list of strings')
      return item.value
    })
  }

  /** Seconds; zero is no bound, as an absent key is. */
  duration(key: string): number | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    const { value } = entry
    if (value.kind !== 'string' && value.kind !== 'number') this.#expected(entry, 'a duration')
    try {
      const seconds = value.kind === 'string' ? parseDuration(value.value) : value.value
      if (seconds < 0) this.fail(`${JSON.stringify(key)} cannot be negative`)
      return seconds === 0 ? undefined : seconds
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return this.fail(`error parsing ${JSON.stringify(key)}: ${error.message}`)
    }
  }

  /** Milliseconds since the epoch, from RFC 3339 text or Unix seconds. */
  time(key: string): number | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    const { value } = entry
    if (value.kind === 'number') return value.value * 1000
    const time =
      value.kind === 'string' && RFC3339.test(value.value) ? Date.parse(value.value) : Number.NaN
    if (Number.isNaN(time)) this.#expected(entry, 'an RFC 3339 time')
    return time
  }

  parameters(key: string): ParameterRules {
    const collector = new ParameterCollector()
    const entry = this.#entries.get(key)
    if (entry === undefined) return collector.result()
    const members = entry.labels.length === 0 ? entriesOf(entry.value) : undefined
    if (members === undefined) this.#expected(entry, 'an object of lists')
    for (const { key: name, labels, value } of members) {
      if (value.kind !== 'list' || labels.length > 0) this.#expected(entry, 'an object of lists')
      collector.add(name, value.items.map(plainValue))
    }
    return collector.result()
  }

  #expected(entry: HclEntry, kind: string): never {
    this.fail(`${JSON.stringify(entry.key)} on line ${entry.line}: expected ${kind}`)
  }
}
