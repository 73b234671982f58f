/**
 * Request bodies (contract 1.1 and 1.3): read whole up to a limit, then taken as a form or as JSON. The bytes
 * that all unfinished requests hold together are bounded too.
 */
import type { IncomingMessage } from 'node:http'
import { PosternError } from '../../errors.ts'
import { formFields, parsePairs } from './form.ts'
import { parseJsonFields } from './json-text.ts'

/** How much more than the limit is read and thrown away, so that a client reads its 413 and not a reset. */
const MAX_SWALLOWED_BYTES = 64 * 1024 * 1024

/** A body that has not come whole. */
interface Arriving {
  readonly held: number
  /** Its request is answered with a 503, and what it held is given back. */
  drop(): void
}

/**
 * Bytes of bodies that may be held at once; shared by all listeners of a server. When there is no room, the largest of
 * those that still arrive has to go: a few large ones that never end keep nobody else's small ones out.
 */
export class BodyBudget {
  readonly maxBodyBytes: number
  readonly #arriving = new Set<Arriving>()
  #free: number

  constructor(maxBodyBytes: number, maxHeldBytes: number) {
    this.maxBodyBytes = maxBodyBytes
    this.#free = maxHeldBytes
  }

  /** Gives false when this one is the largest itself. */
  take(bytes: number, taker: Arriving): boolean {
    while (bytes > this.#free) {
      let largest: Arriving | undefined
      for (const one of this.#arriving) if (!largest || one.held > largest.held) largest = one
      if (!largest || largest.held <= taker.held + bytes) return false
      largest.drop()
    }
    this.#free -= bytes
    this.#arriving.add(taker)
    return true
  }

  /** From here on it stays until its bytes are given back. */
  hasCome(body: Arriving): void {
    this.#arriving.delete(body)
  }

  give(bytes: number): void {
    this.#free += bytes
  }
}

/** Whether the message announces a body at all. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return (
    request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
  )
}

/** A body, and how to give its bytes back to the budget once it has been decoded. */
export interface Body {
  readonly bytes: Buffer
  release(): void
}

/**
 * Reads the whole body. Undefined when the client went away in the middle. A 413 when it is over the limit, a
 * 503 when too many bodies are held already: both after the rest was thrown away, within reason.
 */
export function readBody(request: IncomingMessage, budget: BodyBudget): Promise<Body | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let swallowed = 0
    let refusal: PosternError | undefined
    const body = { held: 0, drop: () => refuse(new PosternError('unavailable')) }
    const release = () => {
      budget.hasCome(body)
      budget.give(body.held)
      body.held = 0
    }
    const refuse = (error: PosternError) => {
      refusal = error
      chunks.length = 0
      release()
    }
    if (Number(request.headers['content-length'] ?? 0) > budget.maxBodyBytes) {
      refuse(new PosternError('body_too_large'))
    }
    request.on('data', (chunk: Buffer) => {
      if (!refusal) {
        if (body.held + chunk.length > budget.maxBodyBytes) {
          refuse(new PosternError('body_too_large'))
        } else if (!budget.take(chunk.length, body)) body.drop()
      }
      if (refusal) {
        swallowed += chunk.length
        if (swallowed > MAX_SWALLOWED_BYTES) reject(refusal)
        return
      }
      body.held += chunk.length
      chunks.push(chunk)
    })
    // The socket's own event: a request that was answered before its end is told nothing.
    const { socket } = request
    const abandon = () => {
      release()
      resolve(undefined)
    }
    socket.once('close', abandon)
    request.on('end', () => {
      socket.off('close', abandon)
      if (refusal) return reject(refusal)
      budget.hasCome(body)
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, body.held)
      resolve({ bytes, release })
    })
    request.on('error', () => {})
  })
}

export interface DecodedBody {
  readonly fields: ReadonlyMap<string, unknown>
  /** The JSON text; absent for forms and empty bodies. */
  readonly text?: string
}

const NOTHING: DecodedBody = { fields: new Map() }

/** Takes a body as its first character and its content type say: `curl -d '{…}'` sends JSON and calls it a form. */
export function decodeBody(bytes: Buffer, contentType: string | undefined): DecodedBody {
  const first = firstNonBlank(bytes)
  if (first === undefined) return NOTHING
  const isForm = contentType !== undefined && mediaType(contentType) === FORM
  if (isForm && first !== 0x7b && first !== 0x5b) {
    return { fields: formFields(parsePairs(bytes.toString('utf8').trim())) }
  }
  return parseJsonFields(bytes)
}

const FORM = 'application/x-www-form-urlencoded'
const MERGE_PATCH = 'application/merge-patch+json'

/** Refuses a PATCH whose content type is not JSON Merge Patch (RFC 7396). */
export function checkPatchType(contentType: string | undefined): void {
  const type = contentType === undefined ? '' : mediaType(contentType)
  if (type === '') throw new PosternError('invalid_request', 'mime: no media type')
  if (type === MERGE_PATCH) return
  throw new PosternError(
    'unsupported_media_type',
    `PATCH requires Content-Type of ${MERGE_PATCH}, provided ${type}`,
  )
}

function mediaType(contentType: string): string {
  const semicolon = contentType.indexOf(';')
  return (semicolon === -1 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase()
}

function firstNonBlank(bytes: Buffer): number | undefined {
  for (const byte of bytes) {
    if (byte !== 0x20 && (byte < 0x09 || byte > 0x0d)) return byte
  }
  return undefined
}
