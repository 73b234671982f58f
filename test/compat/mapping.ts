/**
 * Values that differ from run to run (ids, tokens, OTPs, keys, times): which live value stands for which
 * recorded one, and whether two such values are of one shape.
 */
import type { Json } from './record.ts'

/** Where one of these stands in a text, the value is the server's choice. */
const SHAPES: Readonly<Record<string, string>> = {
  uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  time: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?Z',
  hmac: 'hmac-sha256:[0-9a-f]{64}',
  serviceToken: '\\bs\\.[0-9A-Za-z]{24}\\b',
  batchToken: '\\bb\\.[0-9A-Za-z_-]{40,}',
  mountAccessor: '\\b[a-z]+(?:_[a-z]+)?_[0-9a-f]{8}\\b',
  // The end of a lease id, or an accessor, which is a whole text.
  base62: '(?<=^|/)[0-9A-Za-z]{24}$',
  clusterName: '(?<=^[a-z]+-cluster-)[0-9a-f]{8}$',
}

/** Whole texts only: they would be found inside others by accident. */
const WHOLE_SHAPES: Readonly<Record<string, RegExp>> = {
  keyShare: /^[0-9a-f]{66}$/,
  keyShareBase64: /^[0-9A-Za-z+/]{44}$/,
  serial: /^[1-9a-f][0-9a-f]{0,15}$/,
  randomBase64: /^[0-9A-Za-z+/]{43}=$/,
  randomHex: /^[0-9a-f]{16}$/,
  rsaPrivateKey: /^-----BEGIN RSA PRIVATE KEY-----\n[\s\S]+\n-----END RSA PRIVATE KEY-----\n$/,
  ecPrivateKey: /^-----BEGIN EC PRIVATE KEY-----\n[\s\S]+\n-----END EC PRIVATE KEY-----\n$/,
  opensshPrivateKey:
    /^-----BEGIN OPENSSH PRIVATE KEY-----\n[\s\S]+\n-----END OPENSSH PRIVATE KEY-----\n$/,
}

/** Shapes that would also fit ordinary words, and count only under these member names. */
const SHAPES_BY_MEMBER: Readonly<Record<string, string>> = {
  serial: 'serial_number',
  randomBase64: 'random_bytes',
  randomHex: 'random_bytes',
}

const PUBLIC_KEY = /^((?:ssh|ecdsa)-[a-z0-9-]+) ([A-Za-z0-9+/=]+)(\n?)$/
const ANY_SHAPE = new RegExp(
  Object.entries(SHAPES)
    .map(([name, source]) => `(?<${name}>${source})`)
    .join('|'),
  'g',
)

interface Piece {
  readonly text: string
  readonly shape: string | undefined
}

export class Mapping {
  readonly #liveByRecorded = new Map<string, string>()
  readonly #given = new Set<string>()

  /** Texts that a recorded request chose itself: an answer repeats them as they are, whatever their shape. */
  noteGiven(value: Json): void {
    if (typeof value === 'string') {
      if (!this.#liveByRecorded.has(value)) this.#given.add(value)
    } else if (value !== null && typeof value === 'object') {
      for (const item of Object.values(value)) this.noteGiven(item)
    }
  }

  learn(recorded: string, live: string): void {
    this.#liveByRecorded.set(recorded, live)
  }

  liveOf(recorded: string): string | undefined {
    return this.#liveByRecorded.get(recorded)
  }

  /** The text with every recorded value in it replaced by the live one. */
  translate(text: string): string {
    let translated = text
    for (const [recorded, live] of this.#liveByRecorded) {
      if (translated.includes(recorded)) translated = translated.replaceAll(recorded, live)
    }
    return translated
  }

  /** The same for every text and member name of a request's body. */
  translateAll(value: Json): Json {
    if (typeof value === 'string') return this.translate(value)
    if (Array.isArray(value)) return value.map((item) => this.translateAll(item))
    if (value === null || typeof value !== 'object' || 'rawJSON' in value) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [this.translate(key), this.translateAll(item)]),
    )
  }

  /**
   * True when the live text is what the recorded one means here: known values are the live ones already
   * seen, new ones are of the same shape and are learned.
   */
  accepts(recorded: string, live: string, member: string): boolean {
    const known = this.#liveByRecorded.get(recorded)
    if (known !== undefined) return known === live
    if (recorded === live) return true
    if (this.#given.has(recorded)) return this.translate(recorded) === live
    const whole = wholeShapeOf(recorded, member)
    if (whole !== undefined)
      return whole === wholeShapeOf(live, member) && this.#learned(recorded, live)
    const recordedPieces = piecesOf(recorded)
    const livePieces = piecesOf(live)
    return (
      recordedPieces.length === livePieces.length &&
      recordedPieces.every((piece, i) => this.#acceptsPiece(piece, livePieces[i]!))
    )
  }

  #acceptsPiece(recorded: Piece, live: Piece): boolean {
    if (recorded.shape !== live.shape) return false
    const known = this.#liveByRecorded.get(recorded.text)
    if (known !== undefined) return known === live.text
    if (recorded.shape === undefined) return this.translate(recorded.text) === live.text
    // A time says nothing about a later one.
    if (recorded.shape === 'time') return true
    if (recorded.shape === 'mountAccessor') {
      const kind = (text: string): string => text.slice(0, -8)
      if (kind(recorded.text) !== kind(live.text)) return false
    }
    return this.#learned(recorded.text, live.text)
  }

  #learned(recorded: string, live: string): true {
    this.learn(recorded, live)
    return true
  }
}

function wholeShapeOf(text: string, member: string): string | undefined {
  const publicKey = PUBLIC_KEY.exec(text)
  // A generated key: without a comment; of the same type, size and line ending.
  if (publicKey?.[1]) return `${publicKey[1]} ${publicKey[2]!.length} ${publicKey[3]!.length}`
  return Object.entries(WHOLE_SHAPES).find(
    ([name, shape]) =>
      (SHAPES_BY_MEMBER[name] === undefined || SHAPES_BY_MEMBER[name] === member) &&
      shape.test(text),
  )?.[0]
}

function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(ANY_SHAPE)) {
    if (match.index > end) pieces.push({ text: text.slice(end, match.index), shape: undefined })
    const shape = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined)?.[0]
    pieces.push({ text: match[0], shape })
    end = match.index + match[0].length
  }
  if (end < text.length || text === '') pieces.push({ text: text.slice(end), shape: undefined })
  return pieces
}
