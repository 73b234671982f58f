/** What a command prints, in the form that was asked for (contract 8.1): table, JSON, YAML, raw, one field. */
import { isBigNumber, isObject, type Json, type JsonObject } from '../../client/json.ts'
import { type Envelope, envelopeOf, jsonOf, type Reply, texts } from '../../client/reply.ts'
import { formatDuration } from '../../duration.ts'
import { Failure, warningText } from '../failure.ts'
import type { Session } from '../session.ts'
import { byteOrder, goText, tableText } from './go-text.ts'
import { encodeTable } from './table.ts'
import { encodeYaml } from './yaml.ts'

type Row = readonly [key: string, value: string]

/**
 * Prints an answer: the one field of `-field`, or all of it. A body that is no JSON is printed as it is.
 * Throws a Failure when the field is absent.
 */
export function printReply(session: Session, reply: Reply): void {
  const envelope = envelopeOf(reply)
  const field = session.input.text('field')
  if (session.format === 'raw' || envelope === undefined) {
    session.terminal.write(reply.text)
  } else if (field !== undefined) {
    printField(session, field, fieldOf(envelope, field))
  } else if (session.format === 'table') {
    printEnvelope(session, envelope)
  } else {
    printStructured(session, structuredReply(reply))
  }
}

/** The bare value, so that a script can take it: with a line end for people only. */
export function printField(session: Session, field: string, value: Json | undefined): void {
  if (value === undefined) throw new Failure(`Field "${field}" not present in secret`)
  const text =
    session.format === 'json'
      ? JSON.stringify(value, null, 2)
      : session.format === 'yaml'
        ? encodeYaml(value).trimEnd()
        : goText(value)
  session.terminal.write(session.terminal.outputIsTerminal ? `${text}\n` : text)
}

/** A value as JSON or YAML; not for tables. */
export function printStructured(session: Session, value: Json): void {
  const text = session.format === 'yaml' ? encodeYaml(value) : `${JSON.stringify(value, null, 2)}\n`
  session.terminal.write(text)
}

/** Rows under the header Key and Value. */
export function printRows(session: Session, rows: readonly Row[]): void {
  session.terminal.write(encodeTable(['Key', 'Value'], rows))
}

/** Says that a secret was typed where others can read it, and how to give it instead. */
export function warnOfSecret(session: Session, what: string, instead: string): void {
  warn(session, `${what} stands in the command line, where others may read it; ${instead}`)
}

/** Words for people: not where a program reads. */
export function say(session: Session, text: string): void {
  if (session.format === 'table') session.terminal.write(`${text}\n`)
}

export function warn(session: Session, text: string): void {
  session.terminal.writeError(warningText(text, session.terminal))
}

function printEnvelope(session: Session, envelope: Envelope): void {
  for (const text of envelope.warnings) warn(session, text)
  const rows = envelopeRows(envelope)
  if (rows.length > 0) printRows(session, rows)
}

function envelopeRows(envelope: Envelope): Row[] {
  if (envelope.wrapInfo) return wrapRows(envelope.wrapInfo)
  if (envelope.auth) return authRows(envelope.auth)
  const { data = {}, leaseId } = envelope
  const rows = Object.keys(data)
    .sort(byteOrder)
    .map((key): Row => [key, tableText(key, data[key])])
  return leaseId === '' ? rows : [...leaseRows(envelope), ...rows]
}

function leaseRows({ leaseId, leaseDuration, isRenewable }: Envelope): Row[] {
  return [
    ['lease_id', leaseId],
    ['lease_duration', formatDuration(leaseDuration, true)],
    ['lease_renewable', String(isRenewable)],
  ]
}

function authRows(auth: JsonObject): Row[] {
  const seconds = typeof auth['lease_duration'] === 'number' ? auth['lease_duration'] : 0
  const list = (key: string) =>
    `[${texts(auth[key])
      .map((text) => JSON.stringify(text))
      .join(' ')}]`
  const metadata = isObject(auth['metadata']) ? auth['metadata'] : {}
  return [
    ['token', goText(auth['client_token'])],
    ['token_accessor', goText(auth['accessor'])],
    ['token_duration', seconds === 0 ? '∞' : formatDuration(seconds, true)],
    ['token_renewable', goText(auth['renewable'] ?? false)],
    ['token_policies', list('token_policies')],
    ['identity_policies', list('identity_policies')],
    ['policies', list('policies')],
    ...Object.keys(metadata)
      .sort(byteOrder)
      .map((key): Row => [`token_meta_${key}`, goText(metadata[key])]),
  ]
}

function wrapRows(wrapInfo: JsonObject): Row[] {
  const seconds = typeof wrapInfo['ttl'] === 'number' ? wrapInfo['ttl'] : 0
  const rows: Row[] = [
    ['wrapping_token:', goText(wrapInfo['token'])],
    ['wrapping_accessor:', goText(wrapInfo['accessor'])],
    ['wrapping_token_ttl:', formatDuration(seconds, true)],
    ['wrapping_token_creation_time:', goText(wrapInfo['creation_time'])],
    ['wrapping_token_creation_path:', goText(wrapInfo['creation_path'])],
  ]
  const wrapped = wrapInfo['wrapped_accessor']
  return wrapped ? [...rows, ['wrapped_accessor:', goText(wrapped)]] : rows
}

/** The rows of the table by their names, with seconds as numbers, and otherwise a member of `data`. */
function fieldOf(envelope: Envelope, field: string): Json | undefined {
  const special = specialFields(envelope)
  if (special.has(field)) return special.get(field)
  const { data } = envelope
  return data && Object.hasOwn(data, field) ? data[field] : undefined
}

function specialFields(envelope: Envelope): Map<string, Json | undefined> {
  const { auth, wrapInfo, leaseId, leaseDuration, isRenewable } = envelope
  if (wrapInfo) {
    return new Map([
      ['wrapping_token', wrapInfo['token']],
      ['wrapping_accessor', wrapInfo['accessor']],
      ['wrapping_token_ttl', wrapInfo['ttl']],
      ['wrapping_token_creation_time', wrapInfo['creation_time']],
      ['wrapping_token_creation_path', wrapInfo['creation_path']],
      ['wrapped_accessor', wrapInfo['wrapped_accessor']],
    ])
  }
  if (auth) {
    return new Map([
      ['token', auth['client_token']],
      ['token_accessor', auth['accessor']],
      ['token_duration', auth['lease_duration']],
      ['token_renewable', auth['renewable']],
      ['token_policies', auth['token_policies']],
      ['identity_policies', auth['identity_policies'] ?? []],
      ['policies', auth['policies']],
    ])
  }
  if (leaseId === '') return new Map()
  return new Map<string, Json>([
    ['lease_id', leaseId],
    ['lease_duration', leaseDuration],
    ['lease_renewable', isRenewable],
  ])
}

/** The envelope with its members in the family's order; an empty `auth` and `wrap_info` left out. */
function structuredReply(reply: Reply): Json {
  const body = jsonOf(reply) ?? {}
  if (!Object.hasOwn(body, 'request_id')) return sorted(body)
  const ordered: JsonObject = {}
  for (const key of ['request_id', 'lease_id', 'lease_duration', 'renewable', 'data', 'warnings']) {
    ordered[key] = sorted(body[key] ?? null)
  }
  for (const key of ['auth', 'wrap_info']) {
    if (body[key]) ordered[key] = sorted(body[key])
  }
  return ordered
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted)
  if (isBigNumber(value) || !isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort(byteOrder)
      .map((key) => [key, sorted(value[key] as Json)]),
  )
}
