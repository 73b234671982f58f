/**
 * Join tokens: each lets a few new hosts enrol, within what its maker allowed (protocols 5.4). Stored under a keyed hash; a
 * use is taken by a conditional write, so that of two hosts one gets the last.
 */
import { badRequest, PosternError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { base62 } from '../../../random.ts'
import { isGroup, isHostId } from '../../../ssh/scoped-name.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { type Address, parseAddress, parseNetworks } from '../address.ts'
import { absent, pageFields, pageOf } from '../page.ts'
import { hostFields, listsOf, NO_LISTS, showLists } from './host-fields.ts'
import { type HostChange, type HostRecord, hostName } from './registry.ts'

const TOKENS = 'join-tokens/'
const IDS = 'join-ids/'
const PREFIX = 'hj.'
/** 32 of 62 letters: 190 bits. */
const SECRET_CHARACTERS = 32
const ID_CHARACTERS = 12
const MAX_USES = 10_000
const MAX_STARS = 3
const MAX_TTL_SECONDS = 30 * 86_400
const HOUR_SECONDS = 3600

interface JoinToken {
  readonly id: string
  readonly namePattern: string
  readonly groups: HostRecord['groups']
  readonly tags: HostRecord['tags']
  readonly accounts: HostRecord['accounts']
  /** With `{{name}}` where the host's id goes. */
  readonly certificateNames: readonly string[]
  readonly cidrList: string
  readonly requireApproval: boolean
  readonly usesLeft: number
  /** Milliseconds since the epoch, both. */
  readonly expiresAt: number
  readonly createdAt: number
  readonly displayName: string
}

/** What a join token gives to the host that brings it. */
export interface Joining {
  readonly joinToken: string
  readonly id: string
  readonly record: Pick<HostRecord, 'groups' | 'tags' | 'accounts' | 'certificateNames'>
  readonly needsApproval: boolean
  /** Takes one use. */
  readonly spent: HostChange
}

/** Judges a join token for a host. Throws one and the same refusal for tokens that are unknown, used up, expired or of elsewhere. */
export async function joiningOf(call: Call, token: string, wantedName: string): Promise<Joining> {
  const { store } = call
  const name = tokenName(call.hmac(token))
  const entry = token.startsWith(PREFIX) ? await store.get(name) : undefined
  const record = entry && decodeRecord<JoinToken>(entry.value)
  if (!record || record.usesLeft < 1 || record.expiresAt <= call.now || !isFrom(call, record)) {
    throw new PosternError('permission_denied', 'the join token is not good, or not for this host')
  }
  const id = idFor(record, wantedName)
  const left = { ...record, usesLeft: record.usesLeft - 1 }
  return {
    joinToken: record.id,
    id,
    record: {
      groups: record.groups,
      tags: record.tags,
      accounts: record.accounts,
      certificateNames: namesFor(record, id),
    },
    needsApproval: record.requireApproval,
    spent: {
      writes: [
        ...(left.usesLeft === 0
          ? [store.remove(name), store.remove(IDS + record.id)]
          : [store.put(name, encodeRecord(left))]),
      ],
      conditions: [store.when(name, entry.version)],
    },
  }
}

const tokenName = (hmac: string): string => TOKENS + hmac

function isFrom({ remoteAddress }: Call, { cidrList }: JoinToken): boolean {
  const networks = parseNetworks(cidrList)
  const address: Address | undefined = parseAddress(remoteAddress)
  return networks.isEmpty || (address !== undefined && networks.contains(address))
}

/** The id that the pattern allows for this name; without a pattern the server makes one up. */
function idFor({ namePattern }: JoinToken, wantedName: string): string {
  if (namePattern === '') return `host-${base62(24).toLowerCase().slice(0, 12)}`
  const name = namePattern.includes('*') ? wantedName.toLowerCase() : namePattern
  if (!isHostId(name) || !matches(namePattern, name)) {
    throw badRequest(
      `${JSON.stringify(wantedName.slice(0, 64))} is not a name that the join token allows: ${namePattern}`,
    )
  }
  return name
}

/** `*` stands for letters, digits and hyphens: it never crosses a dot. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.]/g, '\\.'))
  return new RegExp(`^${parts.join('[a-z0-9-]+')}$`).test(name)
}

function namesFor({ certificateNames }: JoinToken, id: string): readonly string[] {
  const names = certificateNames.map((name) => name.replaceAll('{{name}}', id))
  return names.filter((name) => parseAddress(name) !== undefined || hostName(name) !== undefined)
}

const fields = {
  name_pattern: {
    type: 'lowercase',
    description:
      'Ids that hosts may ask for; `*` stands for letters, digits and hyphens. Empty: the server makes an id up.',
  },
  groups: hostFields.groups,
  tags: hostFields.tags,
  accounts: hostFields.accounts,
  certificate_names: {
    type: 'comma-list',
    description:
      'Names that host certificates of the host are for; `{{name}}` stands for its id. None: no host certificates.',
  },
  cidr_list: {
    type: 'string',
    description: 'Networks that hosts may enrol from. Empty: any.',
  },
  uses: { type: 'int', default: 1, description: 'How many hosts may enrol with it.' },
  ttl: { type: 'duration', description: 'Life of the token, at most 30 days; an hour if absent.' },
  require_approval: {
    type: 'bool',
    description: 'Hosts get nothing until an operator writes to hosts/:id/approve.',
  },
} as const

async function make(call: Call<typeof fields>): Promise<Outcome> {
  const { fields: values, given, store, now } = call
  const { name_pattern: namePattern, uses, cidr_list: cidrList } = values
  const ttl = values.ttl || HOUR_SECONDS
  if (uses < 1 || uses > MAX_USES) throw badRequest(`uses is 1 to ${MAX_USES}`)
  if (ttl > MAX_TTL_SECONDS) throw badRequest('ttl is at most 30 days')
  if (namePattern !== '' && !isGroup(namePattern.replaceAll('*', 'a'))) {
    throw badRequest('name_pattern: small letters, digits, dots, hyphens and *')
  }
  // Each more could multiply the ways that a long name is tried in.
  if (namePattern.split('*').length > MAX_STARS + 1) {
    throw badRequest(`name_pattern has ${MAX_STARS} stars at most`)
  }
  if (uses > 1 && namePattern !== '' && !namePattern.includes('*')) {
    throw badRequest('name_pattern has no *: it is for one host, so that uses has to be 1')
  }
  checkNetworks(cidrList)
  for (const name of values.certificate_names) checkCertificateName(name)
  const lists = { ...NO_LISTS, ...listsOf({ ...values, certificate_names: [] }, given) }
  const token = PREFIX + base62(SECRET_CHARACTERS)
  const record: JoinToken = {
    id: base62(ID_CHARACTERS),
    namePattern,
    groups: lists.groups,
    tags: lists.tags,
    accounts: lists.accounts,
    certificateNames: [...values.certificate_names],
    cidrList,
    requireApproval: values.require_approval,
    usesLeft: uses,
    expiresAt: now + ttl * 1000,
    createdAt: now,
    displayName: call.caller?.displayName ?? '',
  }
  const name = tokenName(call.hmac(token))
  return {
    data: { join_token: token, ...show(record) },
    writes: [store.put(name, encodeRecord(record)), store.put(IDS + record.id, encodeRecord(name))],
    conditions: [store.when(name, 'absent'), store.when(IDS + record.id, 'absent')],
    issuedKeys: [store.key(name), store.key(IDS + record.id)],
  }
}

function checkNetworks(cidrList: string): void {
  try {
    parseNetworks(cidrList)
  } catch (error) {
    if (error instanceof RangeError) throw badRequest(`cidr_list: ${error.message}`)
    throw error
  }
}

function checkCertificateName(name: string): void {
  const filled = name.replaceAll('{{name}}', 'a')
  if (parseAddress(filled) || hostName(filled) === filled.toLowerCase()) return
  throw badRequest(`certificate_names: ${JSON.stringify(name.slice(0, 128))} is not valid`)
}

function show(record: JoinToken): Record<string, unknown> {
  const { groups, tags, accounts } = showLists({ ...NO_LISTS, ...record })
  return {
    accounts,
    certificate_names: record.certificateNames,
    cidr_list: record.cidrList,
    created_by: record.displayName,
    creation_time: new Date(record.createdAt).toISOString(),
    expire_time: new Date(record.expiresAt).toISOString(),
    groups,
    id: record.id,
    name_pattern: record.namePattern,
    require_approval: record.requireApproval,
    tags,
    uses_left: record.usesLeft,
  }
}

interface StoredToken {
  readonly name: string
  readonly record: JoinToken
}

async function find(store: StoreView, id: string): Promise<StoredToken | undefined> {
  const pointer = await store.get(IDS + id)
  const name = pointer && decodeRecord<string>(pointer.value)
  const entry = name === undefined ? undefined : await store.get(name)
  return name === undefined || !entry ? undefined : { name, record: decodeRecord(entry.value) }
}

/** Those that are over at this time, in milliseconds: all, where it is Infinity. */
export async function removeJoinTokens(store: StoreView, time: number): Promise<void> {
  for (const id of await store.children(IDS)) {
    const found = await find(store, id)
    if (found && found.record.expiresAt > time) continue
    const names = [IDS + id, ...(found ? [found.name] : [])]
    await store.commit(
      names.map((name) => store.remove(name)),
      [],
    )
  }
}

export const joinTokenPaths: readonly Path[] = [
  declarePath({
    pattern: 'join-tokens',
    fields: { ...fields, ...pageFields },
    operations: {
      update: make,
      list: async (call) => ({
        data: { keys: pageOf(await call.store.children(IDS), call.fields) },
      }),
    },
    synopsis: 'Tokens that let new hosts enrol.',
    description:
      'A write makes a join token, shown this once, and its id. What it says of groups, tags, accounts and names is what hosts get that enrol with it, and they have no say in that. Lists ids.',
  }),
  declarePath({
    pattern: 'join-tokens/:id',
    names: { id: 'visible' },
    fields: { id: { type: 'string', description: 'Id of the join token.', secret: false } },
    operations: {
      read: async (call) => {
        const found = await find(call.store, call.fields.id)
        if (!found) throw absent()
        return { data: show(found.record) }
      },
      delete: async (call) => {
        const found = await find(call.store, call.fields.id)
        if (!found) return {}
        const names = [found.name, IDS + call.fields.id]
        return { writes: names.map((name) => call.store.remove(name)) }
      },
    },
    synopsis: 'One join token: read it without its text, or delete it.',
    description: 'Hosts that enrolled with it stay.',
  }),
]
