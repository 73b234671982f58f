/**
 * Whose request a proxy passes on: a listener's `x_forwarded_for_*` settings (Vault API, listener documentation).
 * The header is trusted from named proxies only, and counted from its end.
 */
import { BlockList, isIP } from 'node:net'
import { badRequest } from '../../errors.ts'
import { parseHost } from './address.ts'

export interface ForwardedSettings {
  /** Addresses or CIDR blocks of the proxies that are believed. */
  readonly authorizedAddresses: readonly string[]
  /** How many entries at the header's end are proxies of our own. */
  readonly hopSkips: number
  /** Refuses a request that carries the header but comes from elsewhere; else its header is ignored. */
  readonly rejectNotAuthorized: boolean
  /** Refuses a request without the header; else its own address counts. */
  readonly rejectNotPresent: boolean
}

/** Gives the address that counts as the client's, from that of the connection and the header. Throws a 400. */
export type ResolveClient = (connection: string, header: string | undefined) => string

/** Throws a RangeError for settings that name no address or no block. */
export function resolveForwarded(settings: ForwardedSettings): ResolveClient {
  const proxies = new BlockList()
  for (const block of settings.authorizedAddresses) addBlock(proxies, block)
  return (connection, header) => {
    if (header === undefined || header.trim() === '') {
      if (settings.rejectNotPresent)
        throw badRequest('X-Forwarded-For is required here and missing')
      return connection
    }
    if (!proxies.check(connection, isIP(connection) === 6 ? 'ipv6' : 'ipv4')) {
      if (!settings.rejectNotAuthorized) return connection
      throw badRequest('X-Forwarded-For is not accepted from this address')
    }
    const hops = header.split(',')
    const hop = hops[hops.length - 1 - settings.hopSkips]
    if (hop === undefined) throw badRequest('X-Forwarded-For has fewer hops than are to be skipped')
    const address = parseHost(hop)
    if (address === undefined)
      throw badRequest('X-Forwarded-For holds something that is no address')
    return address
  }
}

function addBlock(list: BlockList, block: string): void {
  const [address = '', prefix, rest] = block.trim().split('/')
  const version = isIP(address)
  const bits = version === 6 ? 128 : 32
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
  if (version === 0 || rest !== undefined || length < 0 || length > bits) {
    throw new RangeError(`${JSON.stringify(block)} is no address and no CIDR block`)
  }
  list.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4')
}
