/**
 * IP addresses and CIDR lists of roles for hosts (contract 6.5 and 6.7). An address has one
 * canonical text: IPv6 as RFC 5952 writes it, an IPv4-mapped one as plain IPv4.
 */
import { BlockList, isIP, SocketAddress } from 'node:net'

export interface Address {
  readonly family: 'ipv4' | 'ipv6'
  /** The canonical text: two addresses are the same exactly when their texts are. */
  readonly text: string
}

/** The address that a text names, or undefined: no zones, no leading zeros, no host names. */
export function parseAddress(text: string): Address | undefined {
  const version = isIP(text)
  if (version === 4) return { family: 'ipv4', text }
  if (version !== 6 || text.includes('%')) return undefined
  const canonical = new SocketAddress({ address: text, family: 'ipv6' }).address
  const mapped = /^::ffff:([0-9.]+)$/.exec(canonical)?.[1]
  if (mapped !== undefined) return { family: 'ipv4', text: mapped }
  return { family: 'ipv6', text: canonical }
}

/** The networks of one CIDR list. */
export interface Networks {
  readonly isEmpty: boolean
  contains(address: Address): boolean
}

/**
 * Reads a list split at commas, blanks and empty entries ignored; networks whose prefix is not longer than
 * `longerThan` bits are passed over. Throws a RangeError that names the bad entry.
 */
export function parseNetworks(list: string, longerThan = -1): Networks {
  // One list a family: a single BlockList would let `::/0` match IPv4 addresses too.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  const entries = list
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  for (const entry of entries) {
    const { address, prefix } = parseNetwork(entry)
    if (prefix <= longerThan) continue
    lists[address.family].addSubnet(address.text, prefix, address.family)
  }
  return {
    isEmpty: entries.length === 0,
    contains: ({ text, family }) => lists[family].check(text, family),
  }
}

function parseNetwork(entry: string): { address: Address; prefix: number } {
  const split = /^([0-9a-fA-F:.]{2,45})\/(0|[1-9][0-9]{0,2})$/.exec(entry)
  const address = parseAddress(split?.[1] ?? '')
  if (address === undefined) throw badNetwork(entry)
  // `::ffff:10.0.0.0/104` is the IPv4 network 10.0.0.0/8 in its mapped form.
  const isMapped = address.family === 'ipv4' && entry.includes(':')
  const prefix = Number(split?.[2]) - (isMapped ? 96 : 0)
  if (prefix < 0 || prefix > (address.family === 'ipv4' ? 32 : 128)) throw badNetwork(entry)
  return { address, prefix }
}

function badNetwork(entry: string): RangeError {
  return new RangeError(`invalid CIDR address: ${entry}`)
}
