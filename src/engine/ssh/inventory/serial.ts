/**
 * Serials of certificates (OpenSSH PROTOCOL.certkeys). They begin with the time, so that what is stored under them lies in
 * the order of signing.
 */
import { pooledBytes } from '../../../random.ts'

const RANDOM_BITS = 22n

/** Milliseconds since the epoch, then 22 random bits: never 0, the serial of certificates without one. */
export function newSerial(now: number): bigint {
  const random = BigInt(pooledBytes(3).readUIntBE(0, 3)) & ((1n << RANDOM_BITS) - 1n)
  return (BigInt(now) << RANDOM_BITS) | random || 1n
}

/** The least serial of this time, in milliseconds since the epoch. */
export function firstSerial(time: number): bigint {
  return BigInt(Math.max(0, Math.floor(time))) << RANDOM_BITS
}

/** A serial as it stands in keys: 16 hex digits, so that they sort by time. */
export function serialName(serial: bigint): string {
  return serial.toString(16).padStart(16, '0')
}
