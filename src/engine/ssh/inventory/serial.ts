/**
 * Serials of certificates (OpenSSH PROTOCOL.certkeys). They begin with the time, so that what is stored under them lies in
 * the order of signing.
 */
import { pooledBytes } from '../../../random.ts'

const RANDOM_BITS = 22n
/** In the year 2109. */
const LAST_TIME = 2 ** 42 - 1

/** Milliseconds since the epoch, then 22 random bits: never 0, the serial of certificates without one. */
export function newSerial(now: number): bigint {
  const random = BigInt(pooledBytes(3).readUIntBE(0, 3)) & ((1n << RANDOM_BITS) - 1n)
  return (BigInt(now) << RANDOM_BITS) | random || 1n
}

/** The least serial of this time, in milliseconds since the epoch. */
export function firstSerial(time: number): bigint {
  return BigInt(Math.min(Math.max(0, Math.floor(time)), LAST_TIME)) << RANDOM_BITS
}

/** A serial as it stands in keys: 16 hex digits, so that they sort by time. */
export function serialName(serial: bigint): string {
  return serial.toString(16).padStart(16, '0')
}

/**
 * The serial that a text names: hex as the API shows it (16 digits at most, or after `0x`), or decimal as sshd and
 * ssh-keygen show it, which a serial that begins with the time needs 19 digits for.
 */
export function parseSerial(text: string): bigint | undefined {
  const isHex = /^(?:0x)?[0-9a-fA-F]{1,16}$/.test(text)
  if (!isHex && !/^[0-9]{17,20}$/.test(text)) return undefined
  const serial = BigInt(isHex ? `0x${text.replace(/^0x/, '')}` : text)
  return serial === 0n || serial >= 1n << 64n ? undefined : serial
}

/** When a serial was made, in milliseconds since the epoch. */
export function serialTime(serial: bigint): number {
  return Number(serial >> RANDOM_BITS)
}
