/** The recorded exchanges of `golden.jsonl`: their shape, and JSON that keeps numbers as written. */
import { readFileSync } from 'node:fs'
import path from 'node:path'

// biome-ignore lint/suspicious/noExplicitAny: bodies are whatever a server sent.
export type Json = any

export interface Exchange {
  readonly method: string
  /** With the query, exactly as sent. */
  readonly path: string
  readonly request_headers: Readonly<Record<string, string>>
  /** Text is sent as it is, an object as JSON; null is no body. */
  readonly request_body: Json
}

export interface Answer {
  readonly status: number
  readonly response_headers: Readonly<Record<string, string>>
  /** The parsed body where it is JSON, else its text; null when it is empty. */
  readonly response_body: Json
}

export interface RecordedExchange extends Exchange, Answer {
  readonly name: string
  readonly note?: string
}

let all: readonly RecordedExchange[] | undefined

/** Every record in the order in which it was made. */
export function recordedExchanges(): readonly RecordedExchange[] {
  all ??= readFileSync(path.join(import.meta.dirname, 'golden.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseExact(line) as RecordedExchange)
  return all
}

/** The part of a record's name before the first dot. */
export function groupOf(name: string): string {
  return name.slice(0, name.indexOf('.'))
}

/** `*` stands for any text. */
export function matchesGlob(pattern: string, text: string): boolean {
  const source = pattern.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${source.join('.*')}$`, 's').test(text)
}

/** Parses JSON; an integer that a double cannot hold is kept as its source text (`JSON.rawJSON`). */
export function parseExact(text: string): Json {
  return JSON.parse(text, function keep(_key, value, context?: { source?: string }) {
    if (typeof value !== 'number' || Number.isSafeInteger(value) || !context?.source) return value
    return /^-?\d+$/.test(context.source) ? rawNumber(context.source) : value
  })
}

function rawNumber(source: string): Json {
  return (JSON as unknown as { rawJSON(text: string): Json }).rawJSON(source)
}
