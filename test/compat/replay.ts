/**
 * Replays a group of recorded exchanges on a fresh server, in the order in which they were made, and
 * compares each answer. What differs has to be listed in docs/compat.md, and what is listed has to differ.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ABSENT, type Difference, differencesOf } from './difference.ts'
import { exchange } from './exchange.ts'
import {
  answerText,
  covers,
  type ListedDifference,
  listedDifferences,
  pendingRecords,
  rowsOfGroup,
  valueText,
} from './listed.ts'
import { Mapping } from './mapping.ts'
import {
  type Answer,
  type Exchange,
  groupOf,
  type Json,
  matchesGlob,
  type RecordedExchange,
  recordedExchanges,
} from './record.ts'

/** A request that depends on what the server has answered so far. */
type OwnRequest = (replay: Replay) => Promise<Partial<Exchange>>

/** What is done beside a record. */
type Step = (replay: Replay) => Promise<void>

/** A server to replay on; `vars` replace placeholders like `@AUDIT_DIR@` in records. */
export interface ReplayServer {
  readonly address: string
  readonly vars?: Readonly<Record<string, string>>
  stop(): Promise<unknown>
}

export interface ReplayGroup {
  readonly group: string
  readonly start: () => Promise<ReplayServer>
  /** Which of the group's records are replayed here; without it, all. Each is to be replayed by one of the tests. */
  readonly only?: (name: string) => boolean
  /** What the test is called where a group has several. */
  readonly title?: string
  /** Records of other groups that are sent too, at their place, because this group's presume them. */
  readonly context?: readonly string[]
  /** What is done right before a record, by its name. */
  readonly before?: Readonly<Record<string, Step>>
  /** The same right after it, whatever the answer was. */
  readonly after?: Readonly<Record<string, Step>>
  /** Requests that the recording could not hold as they were sent. */
  readonly requests?: Readonly<Record<string, Partial<Exchange> | OwnRequest>>
}

/** Defines the tests of one group: one for each record, and one for the list of differences. */
export function replayGroup(options: ReplayGroup): void {
  test(`${options.title ?? `${options.group}.*`} answers as recorded`, async (t) => {
    const server = await options.start()
    try {
      await new Replay(options, server).run(t)
    } finally {
      await server.stop()
    }
  })
}

export class Replay {
  readonly mapping: Mapping = new Mapping()
  readonly #options: ReplayGroup
  readonly #server: ReplayServer
  readonly #rows: readonly ListedDifference[]
  readonly #used = new Set<ListedDifference>()

  constructor(
    options: ReplayGroup,
    server: ReplayServer,
    rows: readonly ListedDifference[] = listedDifferences(),
  ) {
    this.#options = options
    this.#server = server
    this.#rows = rowsOfGroup(rows, options.group).filter(({ record }) => this.#speaksOfOurs(record))
    for (const [name, value] of Object.entries(server.vars ?? {})) this.mapping.learn(name, value)
  }

  async run(t: TestContext): Promise<void> {
    const pending = pendingRecords()
    for (const record of recordedExchanges()) {
      const isPending = pending.some((row) => matchesGlob(row.record, record.name))
      if (this.#isOurs(record.name) && !isPending) {
        await t.test(record.name, async () => {
          const problems = await this.replay(record)
          assert.ok(problems.length === 0, problems.join('\n'))
        })
      } else if (this.#options.context?.includes(record.name)) {
        await this.#sendContext(record)
      }
    }
    await t.test('every listed difference is one', () => {
      const stale = this.unusedRows().map(({ record, where }) => `${record} ${where}`)
      assert.deepEqual(stale, [], 'docs/compat.md lists what does not differ')
    })
  }

  /** Sends one record and returns what differs without being listed. */
  async replay(record: RecordedExchange): Promise<string[]> {
    await this.#options.before?.[record.name]?.(this)
    const own = this.#options.requests?.[record.name]
    const request = { ...record, ...(typeof own === 'function' ? await own(this) : own) }
    this.mapping.noteGiven(request.request_body)
    const live = await this.send(request)
    const problems = this.#unlisted(record, live)
    await this.#options.after?.[record.name]?.(this)
    return problems
  }

  /** Sends a request with recorded values in it replaced by live ones. */
  async send({ method, path, request_headers, request_body }: Exchange): Promise<Answer> {
    return await exchange(this.#server.address, {
      method,
      path: this.mapping.translate(path),
      request_headers: this.mapping.translateAll(request_headers),
      request_body: this.mapping.translateAll(request_body),
    })
  }

  /** A request of the replayer's own, as root; anything but success is an error. */
  async ask(method: string, path: string, body: Json = null): Promise<Json> {
    const answer = await this.send({
      method,
      path: `/v1/${path}`,
      request_headers: { 'X-Vault-Token': 'root' },
      request_body: body,
    })
    assert.ok(answer.status < 300, `${method} ${path}: ${answerText(answer)}`)
    return answer.response_body
  }

  /** Learns from another request's answer as if it were that of the named record; what differs is returned. */
  learnAs(name: string, body: Json): Difference[] {
    const record = recordOf(name)
    const live = { ...record, response_body: body }
    return differencesOf(record, live, this.mapping)
  }

  unusedRows(): ListedDifference[] {
    return this.#rows.filter((row) => !this.#used.has(row))
  }

  #isOurs(name: string): boolean {
    const { group, only } = this.#options
    return groupOf(name) === group && (only?.(name) ?? true)
  }

  #speaksOfOurs(row: string): boolean {
    if (!this.#options.only) return true
    return recordedExchanges().some(({ name }) => this.#isOurs(name) && matchesGlob(row, name))
  }

  async #sendContext(record: RecordedExchange): Promise<void> {
    await this.#options.before?.[record.name]?.(this)
    const live = await this.send(record)
    differencesOf(record, live, this.mapping)
    assert.equal(
      live.status,
      record.status,
      `${record.name}, which others presume: ${answerText(live)}`,
    )
  }

  #unlisted(record: RecordedExchange, live: Answer): string[] {
    const problems: string[] = []
    for (const difference of differencesOf(record, live, this.mapping)) {
      const rows = this.#rows.filter((row) => covers(row, record.name, difference, live))
      for (const row of rows) this.#used.add(row)
      if (rows.length === 0) problems.push(describe(difference))
    }
    if (problems.length > 0) problems.push(`the whole answer: ${answerText(live)}`)
    return problems
  }
}

/** Throws for a name that is not recorded. */
export function recordOf(name: string): RecordedExchange {
  const record = recordedExchanges().find((candidate) => candidate.name === name)
  assert.ok(record, `no record is called ${name}`)
  return record
}

function describe({ where, expected, actual }: Difference): string {
  const expectedText = expected === ABSENT ? 'nothing' : valueText(expected)
  const actualText = actual === ABSENT ? 'nothing' : valueText(actual)
  return `${where}: ${expectedText} is recorded, the server gave ${actualText}`
}
