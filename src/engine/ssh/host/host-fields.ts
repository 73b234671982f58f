/** What may be written about a host (protocols 5.2): each list is checked, brought to one form, sorted and bounded. */
import { badRequest, SshFormatError } from '../../../errors.ts'
import { encodeAuthorizedKey, parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import type { PublicKey } from '../../../ssh/key/public-key.ts'
import { isAccount, isGroup } from '../../../ssh/scoped-name.ts'
import { parseAddress } from '../address.ts'
import type { FieldOf } from '../role/role-fields.ts'
import { parseTag } from '../scope/tag.ts'
import { type HostRecord, hostName } from './registry.ts'

const MAX_ITEMS = 64
const MIN_HOST_RSA_BITS = 2048

type ListName =
  | 'names'
  | 'addresses'
  | 'groups'
  | 'tags'
  | 'accounts'
  | 'host_keys'
  | 'certificate_names'

const list = (description: string): FieldOf<'comma-list'> => ({ type: 'comma-list', description })

export const hostFields: Readonly<Record<ListName, FieldOf<'comma-list'>>> = {
  names: list('DNS names of the host, each of one host alone.'),
  addresses: list('IP addresses of the host.'),
  groups: list('Groups that the host belongs to.'),
  tags: list('Tags of the host, each as `key=value`.'),
  accounts: list(
    'Users that may be logged in to with scoped certificates and passwords; none: any.',
  ),
  host_keys: list('Public host keys as lines of authorized_keys, each of one host alone.'),
  certificate_names: list('Names and addresses that host certificates of the host are for.'),
}

type Lists = Pick<
  HostRecord,
  'names' | 'addresses' | 'groups' | 'tags' | 'accounts' | 'hostKeys' | 'certificateNames'
>

export const NO_LISTS: Lists = {
  names: [],
  addresses: [],
  groups: [],
  tags: [],
  accounts: [],
  hostKeys: [],
  certificateNames: [],
}

const readers: { readonly [Name in ListName]: (items: readonly string[]) => Partial<Lists> } = {
  names: (items) => ({ names: checked('names', items, hostName) }),
  addresses: (items) => ({ addresses: checked('addresses', items, canonical) }),
  groups: (items) => ({
    groups: checked('groups', items, (one) => (isGroup(one) ? one : undefined)),
  }),
  tags: (items) => ({ tags: tagsOf(items) }),
  accounts: (items) => ({
    accounts: checked('accounts', items, (one) => (isAccount(one) ? one : undefined)),
  }),
  host_keys: (items) => ({ hostKeys: checked('host_keys', items, hostKeyLine) }),
  certificate_names: (items) => ({
    certificateNames: checked('certificate_names', items, (one) => canonical(one) ?? hostName(one)),
  }),
}

/** The lists that a request brings, as records keep them. Throws a 400 that names the first bad item. */
export function listsOf(
  values: Readonly<Partial<Record<ListName, readonly string[]>>>,
  given: ReadonlySet<string>,
): Partial<Lists> {
  const names = (Object.keys(readers) as ListName[]).filter((name) => given.has(name))
  return Object.assign({}, ...names.map((name) => readers[name](values[name] ?? [])))
}

/** In wire names. */
export function showLists(lists: Lists): Record<ListName, readonly string[]> {
  return {
    accounts: lists.accounts,
    addresses: lists.addresses,
    certificate_names: lists.certificateNames,
    groups: lists.groups,
    host_keys: lists.hostKeys,
    names: lists.names,
    tags: lists.tags.map(([key, value]) => `${key}=${value}`),
  }
}

/** A host key that is strong enough to stand for a host. Throws SshFormatError, and a 400 for a weak one. */
export function parseHostKey(line: string): PublicKey {
  const key = parseAuthorizedKey(line)
  const isWeak = key.kind === 'rsa' && key.bits < MIN_HOST_RSA_BITS
  if (isWeak || key.kind === 'dsa' || key.kind.startsWith('sk-')) {
    throw badRequest('host_keys: use Ed25519, ECDSA, or RSA of 2048 bits and more')
  }
  return key
}

function hostKeyLine(line: string): string | undefined {
  try {
    return encodeAuthorizedKey(parseHostKey(line).blob)
  } catch (error) {
    if (error instanceof SshFormatError) return undefined
    throw error
  }
}

function canonical(text: string): string | undefined {
  return parseAddress(text)?.text
}

function tagsOf(items: readonly string[]): readonly (readonly [string, string])[] {
  const isTag = (one: string) => (parseTag(one) ? one : undefined)
  return checked('tags', items, isTag).flatMap((item) => {
    const tag = parseTag(item)
    return tag ? [tag] : []
  })
}

function checked(
  name: string,
  items: readonly string[],
  read: (item: string) => string | undefined,
): readonly string[] {
  if (items.length > MAX_ITEMS) throw badRequest(`${name}: ${MAX_ITEMS} at most`)
  const known = items.map((item) => {
    const good = read(item)
    if (good !== undefined) return good
    throw badRequest(`${name}: ${JSON.stringify(item.slice(0, 128))} is not valid`)
  })
  return [...new Set(known)].sort()
}
