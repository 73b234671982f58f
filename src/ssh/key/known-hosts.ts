/**
 * Lines of known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): names or patterns, plain or hashed, and a
 * key. `@revoked` is honoured; `@cert-authority` is refused, since hosts are known by plain keys only.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { SshFormatError } from '../../errors.ts'
import { decodeBase64 } from '../base64.ts'
import { parseAuthorizedKey } from './authorized-keys.ts'
import type { PublicKey } from './public-key.ts'

const MAX_TEXT_LENGTH = 262_144
const MAX_PATTERN_LENGTH = 512
const SHA1_BYTES = 20

export interface KnownHost {
  readonly key: PublicKey
  /** The key must not be believed, whichever other line says so. */
  readonly isRevoked: boolean
  /** Whether the line is about this host name, written `[name]:port` for ports other than 22. */
  isFor(name: string): boolean
}

/** The lines of a text; blank ones and comments left out. Throws SshFormatError that names the line. */
export function parseKnownHosts(text: string): KnownHost[] {
  if (text.length > MAX_TEXT_LENGTH) throw new SshFormatError('the known hosts are too long')
  const hosts: KnownHost[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^[ \t]*(?:#|$)/.test(line)) continue
    try {
      hosts.push(parseLine(line))
    } catch (error) {
      if (!(error instanceof SshFormatError)) throw error
      throw new SshFormatError(`line ${index + 1}: ${error.message}`)
    }
  }
  return hosts
}

/** What a host is called in known_hosts. */
export function knownHostName(address: string, port: number): string {
  return port === 22 ? address : `[${address}]:${port}`
}

/** What is known of a host: under its name with the port, or else, as ssh does it, under the bare one. */
export function knownKeysOf(
  hosts: readonly KnownHost[],
  address: string,
  port: number,
): KnownHost[] {
  const named = hosts.filter((host) => host.isFor(knownHostName(address, port)))
  return named.length > 0 ? named : hosts.filter((host) => host.isFor(address))
}

function parseLine(line: string): KnownHost {
  const words = line.trim().split(/[ \t]+/)
  const marker = words[0]?.startsWith('@') ? words.shift() : undefined
  if (marker === '@cert-authority') {
    throw new SshFormatError('@cert-authority is not supported: give the plain key of the host')
  }
  if (marker !== undefined && marker !== '@revoked') {
    throw new SshFormatError(`unknown marker ${JSON.stringify(marker.slice(0, 32))}`)
  }
  const [names = '', type, base64] = words
  if (type === undefined || base64 === undefined) {
    throw new SshFormatError('a line has the names of the host, the key type and the key')
  }
  const key = parseAuthorizedKey(`${type} ${base64}`)
  if (type !== key.algorithm.name) {
    throw new SshFormatError(`the line says ${type}, but its key is ${key.algorithm.name}`)
  }
  return { key, isRevoked: marker === '@revoked', isFor: matcherOf(names) }
}

function matcherOf(names: string): (name: string) => boolean {
  if (names.startsWith('|')) return hashedMatcher(names)
  const patterns = names.toLowerCase().split(',')
  if (patterns.some((pattern) => pattern.length > MAX_PATTERN_LENGTH)) {
    throw new SshFormatError('a host name is too long')
  }
  const denied = patterns
    .filter((pattern) => pattern.startsWith('!'))
    .map((pattern) => pattern.slice(1))
  const allowed = patterns.filter((pattern) => !pattern.startsWith('!'))
  return (name) =>
    allowed.some((pattern) => matchesPattern(name, pattern)) &&
    !denied.some((pattern) => matchesPattern(name, pattern))
}

/** `|1|salt|hash`: the name's HMAC-SHA1 under the salt. */
function hashedMatcher(names: string): (name: string) => boolean {
  const [, magic, salt = '', hash = '', ...rest] = names.split('|')
  const [key, digest] = [decodeBase64(salt), decodeBase64(hash)]
  if (magic !== '1' || rest.length > 0 || digest.length !== SHA1_BYTES) {
    throw new SshFormatError('a hashed host name that is not in the form |1|salt|hash')
  }
  return (name) => timingSafeEqual(createHmac('sha1', key).update(name).digest(), digest)
}

/** `*` stands for any characters, `?` for one. Goes back to the last `*` only, so that no pattern is slow. */
function matchesPattern(name: string, pattern: string): boolean {
  let [at, star, resume] = [0, -1, 0]
  for (let index = 0; index < name.length; ) {
    if (pattern[at] === '*') {
      star = at++
      resume = index
    } else if (pattern[at] === '?' || pattern[at] === name[index]) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++resume
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
