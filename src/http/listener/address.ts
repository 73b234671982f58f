/** Addresses of clients in one spelling: policies, limits and audit compare texts. */
import { isIP, SocketAddress } from 'node:net'

/** Peers on a Unix socket are on this machine: they count as loopback. */
export const LOCAL_ADDRESS = '127.0.0.1'

/** The canonical text of an IP address: IPv4-mapped IPv6 as IPv4, no zone, no port. Undefined for anything else. */
export function canonicalAddress(text: string): string | undefined {
  const bare = withoutZone(text)
  const version = isIP(bare)
  if (version === 4) return bare
  if (version !== 6) return undefined
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  const { address } = new SocketAddress({ address: bare, family: 'ipv6' })
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}

/** An address as proxies write it: with or without a port, IPv6 with or without brackets. */
export function parseHost(text: string): string | undefined {
  const trimmed = text.trim()
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(trimmed)?.[1]
  if (bracketed !== undefined) return canonicalAddress(bracketed)
  const withPort = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(trimmed)?.[1]
  return canonicalAddress(withPort ?? trimmed)
}

function withoutZone(text: string): string {
  const percent = text.indexOf('%')
  return percent === -1 ? text : text.slice(0, percent)
}
