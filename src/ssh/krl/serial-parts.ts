/**
 * Splits revoked serials into lists, ranges and bitmaps (OpenSSH PROTOCOL.krl, certificate sections), whichever is the
 * smallest. Serials that begin with the time lie far apart, and counted ones close together: both end up small.
 */

export type SerialPart =
  | { readonly kind: 'list'; readonly bytes: Buffer }
  | { readonly kind: 'range'; readonly first: bigint; readonly last: bigint }
  | { readonly kind: 'bitmap'; readonly first: bigint; readonly bits: Buffer }

const SERIAL_BYTES = 8
/** Type and length before a part. */
const HEADER_BYTES = 5
const RANGE_BYTES = HEADER_BYTES + 2 * SERIAL_BYTES
/** Header, first serial, length of the number and the zero that may lead it. */
const BITMAP_BYTES = HEADER_BYTES + SERIAL_BYTES + 5
/** A list needs 64 bits for one serial: beyond that gap a bitmap does not pay. */
const MAX_GAP = 64n
/** Half of what OpenSSH takes as one number. */
const MAX_BITS = 8192n
/** A run that long is cheaper as a range, even when it splits a bitmap in two. */
const LONG_RUN = BigInt(8 * (RANGE_BYTES + BITMAP_BYTES))

type Serials = readonly bigint[] | BigUint64Array

/** The parts, the list last. Throws RangeError unless the serials ascend from 1. */
export function partsOf(serials: Serials): SerialPart[] {
  if (serials[0] === 0n) throw new RangeError('serial 0 cannot be revoked')
  const parts: SerialPart[] = []
  const list = new DataView(new ArrayBuffer(serials.length * SERIAL_BYTES))
  let listed = 0
  for (let at = 0; at < serials.length; ) {
    const end = isAlone(serials, at) ? at + 1 : clusterEnd(serials, at)
    const part = end - at > 2 ? compact(serials, at, end) : undefined
    if (part) parts.push(part)
    for (; at < end && !part; at++) {
      list.setBigUint64(listed, serials[at] as bigint)
      listed += SERIAL_BYTES
    }
    at = end
  }
  if (listed > 0) parts.push({ kind: 'list', bytes: Buffer.from(list.buffer, 0, listed) })
  return parts
}

/** Asked of every serial before the costly questions: most have no neighbour. */
function isAlone(serials: Serials, at: number): boolean {
  const next = serials[at + 1]
  return next === undefined || next - (serials[at] as bigint) > MAX_GAP
}

/** The index after the serials that go together with the one at `start`. */
function clusterEnd(serials: Serials, start: number): number {
  const first = serials[start] as bigint
  const longest = runEnd(serials, start)
  if (BigInt(longest - start) >= LONG_RUN) return longest
  let end = longest
  while (end < serials.length) {
    const next = serials[end] as bigint
    if (next - (serials[end - 1] as bigint) > MAX_GAP) break
    const nextEnd = runEnd(serials, end)
    if ((serials[nextEnd - 1] as bigint) - first >= MAX_BITS) break
    if (BigInt(nextEnd - end) >= LONG_RUN) break
    end = nextEnd
  }
  return end
}

/** The index after the serials that follow one another from `start` on. */
function runEnd(serials: Serials, start: number): number {
  let end = start + 1
  for (; end < serials.length; end++) {
    const step = (serials[end] as bigint) - (serials[end - 1] as bigint)
    if (step <= 0n) throw new RangeError('serials have to ascend')
    if (step !== 1n) break
  }
  return end
}

/** A range or a bitmap, when it is smaller than a list. */
function compact(serials: Serials, start: number, end: number): SerialPart | undefined {
  const [first, last] = [serials[start] as bigint, serials[end - 1] as bigint]
  const listBytes = (end - start) * SERIAL_BYTES
  if (last - first === BigInt(end - start - 1) && RANGE_BYTES < listBytes) {
    return { kind: 'range', first, last }
  }
  const length = Number(last - first) + 1
  const bitBytes = Math.ceil(length / 8)
  if (BITMAP_BYTES + bitBytes >= listBytes) return undefined
  const bits = Buffer.alloc(bitBytes)
  for (let at = start; at < end; at++) {
    const bit = Number((serials[at] as bigint) - first)
    // A big-endian number: bit 0 is in the last byte.
    const byte = bitBytes - 1 - (bit >> 3)
    bits[byte] = (bits[byte] ?? 0) | (1 << (bit & 7))
  }
  return { kind: 'bitmap', first, bits }
}
