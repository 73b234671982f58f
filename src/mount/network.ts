/** What callers without a token are told apart by (protocols 3.4): whoever has one IPv6 address has its /64. Pure. */
import { isIPv6 } from 'node:net'

/** The first four groups of an IPv6 address; any other text as it is. */
export function networkOf(address: string): string {
  if (!address.includes(':') || !isIPv6(address)) return address
  const [front = '', back] = address.split('::')
  const groups = front === '' ? [] : front.split(':')
  if (back !== undefined) {
    const tail = back === '' ? [] : back.split(':')
    // A dotted end stands for two groups.
    const width = tail.length + (tail.at(-1)?.includes('.') ? 1 : 0)
    while (groups.length + width < 8) groups.push('0')
    groups.push(...tail)
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
