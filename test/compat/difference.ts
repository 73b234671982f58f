/** What differs between a recorded answer and a live one, volatile values aside. */
import { type CertificateFields, isCertificateLine, readCertificate } from './certificate.ts'
import type { Mapping } from './mapping.ts'
import type { Answer, Json } from './record.ts'

/** Stands for a member that one side lacks. */
export const ABSENT = '(absent)'

export interface Difference {
  /** `status`, `header.<name>` or `body` followed by the members that lead to the place. */
  readonly where: string
  readonly expected: Json
  readonly actual: Json
}

/** Numbers that depend on the moment of the request. */
const CLOCK_MEMBERS = new Set([
  'server_time_utc',
  'creation_time',
  'last_renewal_time',
  'encryptions',
])

/** Texts that say where a request came from, or which machine answers. */
const MACHINE_TEXTS: Readonly<Record<string, RegExp>> = {
  hostname: /^[^\s]+$/,
  client_remote_address: /^127\.0\.0\.1:[1-9]\d*$/,
}

/** Seconds left of something that was made a moment ago. */
const REMAINING_MEMBERS = new Set(['ttl'])
const REMAINING_TOLERANCE_SECONDS = 5

/** Every difference; new volatile values of the live answer are learned on the way. */
export function differencesOf(recorded: Answer, live: Answer, mapping: Mapping): Difference[] {
  const comparison = new Comparison(recorded, mapping)
  if (recorded.status !== live.status) comparison.add('status', recorded.status, live.status)
  const names = new Set([
    ...Object.keys(recorded.response_headers).filter((name) => name !== 'connection'),
    ...Object.keys(live.response_headers),
  ])
  for (const name of [...names].sort()) {
    const [expected, actual] = [recorded.response_headers[name], live.response_headers[name]]
    if (expected !== actual) comparison.add(`header.${name}`, expected ?? ABSENT, actual ?? ABSENT)
  }
  comparison.compare(recorded.response_body, live.response_body, 'body', '')
  return comparison.differences
}

class Comparison {
  readonly differences: Difference[] = []
  readonly #mapping: Mapping
  /** The answer brings the key pair that its certificate is for: another one each time. */
  readonly #bringsKeyPair: boolean

  constructor(recorded: Answer, mapping: Mapping) {
    this.#mapping = mapping
    this.#bringsKeyPair = typeof recorded.response_body?.data?.private_key === 'string'
  }

  add(where: string, expected: Json, actual: Json): void {
    this.differences.push({ where, expected, actual })
  }

  /** `member` is the name of the innermost member that leads to the place. */
  compare(expected: Json, actual: Json, where: string, member: string): void {
    if (isRemovedDocument(expected)) {
      this.#compareOpenApi(actual, where)
    } else if (isRemovedText(expected)) {
      if (actual === null) this.add(where, 'something', actual)
    } else if (Array.isArray(expected) && Array.isArray(actual)) {
      this.#compareArrays(expected, actual, where, member)
    } else if (isObject(expected) && isObject(actual)) {
      this.#compareObjects(expected, actual, where)
    } else if (typeof expected === 'string' && typeof actual === 'string') {
      this.#compareTexts(expected, actual, where, member)
    } else if (typeof expected === 'number' && typeof actual === 'number') {
      if (!numbersAgree(expected, actual, member)) this.add(where, expected, actual)
    } else if (JSON.stringify(expected) !== JSON.stringify(actual)) {
      this.add(where, expected, actual)
    }
  }

  /** The recording holds no more of it than what it is. */
  #compareOpenApi(actual: Json, where: string): void {
    const operations = Object.values(actual?.paths ?? {}).flatMap((item: Json) =>
      [item.get, item.post].filter((operation) => operation?.responses !== undefined),
    )
    const isDocument = actual?.openapi === '3.0.2' && typeof actual.info?.title === 'string'
    if (!isDocument || operations.length === 0) this.add(where, 'an OpenAPI document', actual)
  }

  #compareObjects(expected: Json, actual: Json, where: string): void {
    const unclaimed = new Set(Object.keys(actual))
    for (const [key, value] of Object.entries(expected)) {
      const translated = this.#mapping.translate(key)
      const liveKey = unclaimed.has(translated)
        ? translated
        : [...unclaimed].find(
            (name) => !Object.hasOwn(expected, name) && this.#mapping.accepts(key, name, ''),
          )
      if (liveKey === undefined) {
        this.add(`${where}.${key}`, value, ABSENT)
      } else {
        unclaimed.delete(liveKey)
        this.compare(value, actual[liveKey], `${where}.${key}`, key)
      }
    }
    for (const key of unclaimed) this.add(`${where}.${key}`, ABSENT, actual[key])
  }

  #compareArrays(expected: Json[], actual: Json[], where: string, member: string): void {
    if (expected.length !== actual.length) {
      this.add(where, expected, actual)
      return
    }
    const live = expected.map((item) => this.#mapping.liveOf(item))
    if (expected.length > 1 && live.every((item) => item !== undefined)) {
      // Sorted by ids that the server chose: the same ids, in their own order.
      if (JSON.stringify(live.sort()) !== JSON.stringify(actual)) this.add(where, live, actual)
      return
    }
    expected.forEach((item, i) => {
      this.compare(item, actual[i], `${where}.${i}`, member)
    })
  }

  #compareTexts(expected: string, actual: string, where: string, member: string): void {
    if (MACHINE_TEXTS[member]?.test(expected) && MACHINE_TEXTS[member].test(actual)) return
    if (isCertificateLine(expected) && isCertificateLine(actual)) {
      this.#compareCertificates(readCertificate(expected), readCertificate(actual), where)
    } else if (!this.#mapping.accepts(expected, actual, member)) {
      this.add(where, this.#mapping.translate(expected), actual)
    }
  }

  #compareCertificates(
    expected: CertificateFields,
    actual: CertificateFields,
    where: string,
  ): void {
    const { publicKey, serial, ...fields } = expected
    // The answer's serial_number comes before its signed_key and has been learned.
    const liveSerial = this.#mapping.liveOf(serial) ?? serial
    if (liveSerial !== actual.serial) this.add(`${where}.serial`, liveSerial, actual.serial)
    if (!this.#bringsKeyPair && publicKey !== actual.publicKey) {
      this.add(`${where}.publicKey`, publicKey, actual.publicKey)
    }
    for (const [name, field] of Object.entries(fields)) {
      const liveField = actual[name as keyof typeof fields]
      if (JSON.stringify(field) !== JSON.stringify(liveField)) {
        this.add(`${where}.${name}`, field, liveField)
      }
    }
  }
}

function isRemovedDocument(recorded: Json): boolean {
  return isObject(recorded) && recorded._redacted === 'OpenAPI 3.0.2 document'
}

/** The recording leaves out texts of its own documentation, and the end of very long ones. */
function isRemovedText(recorded: Json): boolean {
  return (
    typeof recorded === 'string' && (recorded.startsWith('<redacted') || recorded.includes('[cut]'))
  )
}

function isObject(value: Json): boolean {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !('rawJSON' in value)
  )
}

function numbersAgree(expected: number, actual: number, member: string): boolean {
  if (CLOCK_MEMBERS.has(member)) return Number.isInteger(actual) && actual > 0
  if (REMAINING_MEMBERS.has(member)) {
    return Math.abs(expected - actual) <= REMAINING_TOLERANCE_SECONDS
  }
  return expected === actual
}
