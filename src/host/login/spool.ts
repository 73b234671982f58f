/**
 * Events that the server has not acknowledged, numbered and on disk: one file each. It is bounded; where it is full the
 * oldest go, and their numbers are missing, which the server shows as a gap (protocols 5.4). One process writes it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { uuid } from '../../random.ts'
import { encodeLoginEvent, type LoginEvent, parseLoginEvent } from '../../ssh/host/login-event.ts'
import { writeFileAtomically } from '../atomic-file.ts'

const HEAD = 'head.json'
const NAME = /^([0-9]{16})\.json$/
const MAX_EVENTS = 20_000

interface Head {
  /** Numbers of one spool mean nothing in another: a host that lost its own begins a new one. */
  readonly stream: string
  /** No event that was numbered before has this number or a greater one, but for those that are there. */
  readonly next: number
}

export class Spool {
  readonly #folder: string
  readonly #maxEvents: number
  #head: Head
  /** Of the events that are there, in order. */
  #numbers: number[]

  constructor(folder: string, maxEvents: number = MAX_EVENTS) {
    this.#folder = folder
    this.#maxEvents = maxEvents
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.#numbers = readdirSync(folder)
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((one, other) => one - other)
    const kept = this.#readHead()
    this.#head = { ...kept, next: Math.max(kept.next, (this.#numbers.at(-1) ?? 0) + 1) }
  }

  get stream(): string {
    return this.#head.stream
  }

  get isEmpty(): boolean {
    return this.#numbers.length === 0
  }

  /** The number after the last one. */
  get next(): number {
    return this.#head.next
  }

  /** Durable when it returns. Throws SshFormatError for what no server would take: it would stand before all others. */
  append(event: Omit<LoginEvent, 'seq'>): void {
    const { next } = this.#head
    const text = JSON.stringify(encodeLoginEvent({ ...event, seq: next }))
    parseLoginEvent(JSON.parse(text))
    writeFileAtomically(this.#file(next), `${text}\n`, 0o600)
    this.#numbers.push(next)
    this.#head = { ...this.#head, next: next + 1 }
    if (this.#numbers.length > this.#maxEvents) this.#remove(this.#numbers.length - this.#maxEvents)
  }

  /** Leaves numbers out, for events that were lost. */
  skip(count: number): void {
    if (count === 0) return
    const head = { ...this.#head, next: this.#head.next + count }
    this.#writeHead(head)
    this.#head = head
  }

  /** The oldest events as they travel. */
  read(limit: number): unknown[] {
    return this.#numbers
      .slice(0, limit)
      .map((number) => JSON.parse(readFileSync(this.#file(number), 'utf8')))
  }

  /** The server has everything up to this number. */
  acknowledge(last: number): void {
    // Before the files go: the next number must not be used again.
    this.#writeHead()
    const later = this.#numbers.findIndex((number) => number > last)
    this.#remove(later < 0 ? this.#numbers.length : later)
  }

  #remove(count: number): void {
    for (const number of this.#numbers.splice(0, count)) rmSync(this.#file(number), { force: true })
  }

  #readHead(): Head {
    const file = path.join(this.#folder, HEAD)
    if (existsSync(file)) {
      try {
        const head = JSON.parse(readFileSync(file, 'utf8')) as Head
        if (typeof head.stream === 'string' && Number.isSafeInteger(head.next)) return head
      } catch {
        // As if it were lost.
      }
    }
    const head = { stream: uuid(), next: 1 }
    writeFileAtomically(file, `${JSON.stringify(head)}\n`, 0o600)
    return head
  }

  #writeHead(head = this.#head): void {
    writeFileAtomically(path.join(this.#folder, HEAD), `${JSON.stringify(head)}\n`, 0o600)
  }

  #file(number: number): string {
    return path.join(this.#folder, `${String(number).padStart(16, '0')}.json`)
  }
}
