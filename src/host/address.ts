/** IP addresses of a host in one spelling, so that they compare exactly (CVE-2020-24359). */
import { BlockList, isIP, SocketAddress } from 'node:net'
import { networkInterfaces } from 'node:os'

/** An IPv4 address, or an IPv6 one in canonical form; mapped ones become IPv4. Undefined for other text. */
export function canonicalAddress(text: string): string | undefined {
  const version = isIP(text)
  if (version === 4) return text
  // A zone means something on its own machine only.
  if (version !== 6 || text.includes('%')) return undefined
  const { address } = new SocketAddress({ address: text, family: 'ipv6' })
  const mapped = /^::ffff:([0-9.]+)$/.exec(address)?.[1]
  return mapped ?? address
}

/** The addresses of this machine's interfaces that are up, canonical, each once. */
export function ownAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).map(({ address }) => canonicalAddress(address)),
  )
  return [...new Set(addresses.filter((address) => address !== undefined))]
}

/** Tells whether a canonical address lies in one of the blocks. */
export type AddressBlocks = (address: string) => boolean

/** Blocks such as `10.0.0.0/8` or `fd00::/8`. Throws a TypeError that names a block it can't read. */
export function addressBlocks(blocks: readonly string[]): AddressBlocks {
  const list = new BlockList()
  for (const block of blocks) {
    const [, network = '', bits = ''] = /^([0-9A-Fa-f:.]+)\/([0-9]{1,3})$/.exec(block) ?? []
    const version = isIP(network)
    if (version === 0 || Number(bits) > (version === 4 ? 32 : 128)) {
      throw new TypeError(`not a CIDR block: ${JSON.stringify(block)}`)
    }
    list.addSubnet(network, Number(bits), version === 4 ? 'ipv4' : 'ipv6')
  }
  return (address) => {
    const version = isIP(address)
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
  }
}
