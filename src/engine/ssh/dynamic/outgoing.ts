/** To which addresses the server connects for a role (protocols 4.6): none of its own machine or of a cloud's inside by accident. */
import { badRequest } from '../../../errors.ts'
import { type Address, parseAddress, parseNetworks } from '../address.ts'

const LOOPBACK = parseNetworks('127.0.0.0/8,0.0.0.0/8,::1/128,::/128')

const special: readonly (readonly [string, ReturnType<typeof parseNetworks>])[] = [
  ['a loopback address', LOOPBACK],
  ['a link-local address', parseNetworks('169.254.0.0/16,fe80::/10')],
  ['a multicast or broadcast address', parseNetworks('224.0.0.0/4,255.255.255.255/32,ff00::/8')],
  [
    'an address of a metadata service',
    parseNetworks(
      '100.100.100.200/32,168.63.129.16/32,192.0.0.192/32,fd00:ec2::/32,fd20:ce::254/128',
    ),
  ],
]

/** A prefix has to be longer to name an address on purpose. */
const WIDE_PREFIX_BITS = 8

/** Refuses an address that only a wide network of the role's `cidr_list`, or no network at all, lets pass. */
export function checkOutgoing(address: Address, cidrList: string, allowLoopback: boolean): void {
  const reached = behindNat64(address)
  const kind = special.find(([, networks]) => networks.contains(reached))
  if (!kind || (allowLoopback && kind[1] === LOOPBACK)) return
  if (parseNetworks(cidrList, WIDE_PREFIX_BITS).contains(address)) return
  throw badRequest(
    `${address.text} is ${kind[0]}: cidr_list has to name it with a prefix longer than /${WIDE_PREFIX_BITS}`,
  )
}

/** `64:ff9b::7f00:1` reaches 127.0.0.1 through a translator (RFC 6052). */
function behindNat64(address: Address): Address {
  const [, high = '', low = ''] =
    /^64:ff9b::(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(address.text) ?? []
  if (low === '') return address
  const number = (Number.parseInt(high || '0', 16) << 16) | Number.parseInt(low, 16)
  const bytes = [24, 16, 8, 0].map((shift) => (number >>> shift) & 255)
  return parseAddress(bytes.join('.')) ?? address
}
