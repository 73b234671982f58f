/** Numbers of the KRL format (OpenSSH PROTOCOL.krl). */

export const MAGIC: Buffer = Buffer.from('SSHKRL\n\0')
export const FORMAT_VERSION = 1
export const HASH_BYTES = 32

export const CERTIFICATES = 1
export const EXPLICIT_KEYS = 2
export const SHA1_HASHES = 3
export const KEY_HASHES = 5

export const CertificateSection = {
  list: 0x20,
  range: 0x21,
  bitmap: 0x22,
  keyIds: 0x23,
} as const

/** What OpenSSH takes as one number, and so as one bitmap. */
export const MAX_BITMAP_BYTES = 2048
