/** `hosts` and `hosts/:id`: the registry as operators see it, and the drop-in for a host's sshd. */
import { badRequest } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { sshdConfig } from '../../../ssh/host/drop-in.ts'
import { isGroup, isHostId } from '../../../ssh/scoped-name.ts'
import { showReports } from '../login/report-state.ts'
import { absent, pageFields } from '../page.ts'
import { parseTag } from '../scope/tag.ts'
import { hostsConfig } from './config-hosts.ts'
import { pendingEnrolment } from './enroll.ts'
import { hostFields, listsOf, NO_LISTS, showLists } from './host-fields.ts'
import { readState, showState } from './host-state.ts'
import {
  checkTaken,
  GROUP_INDEX,
  HOSTS,
  type HostRecord,
  type HostState,
  putHost,
  readHost,
  removeHost,
  TAG_INDEX,
} from './registry.ts'

const states: readonly HostState[] = ['active', 'pending', 'disabled']
const DEFAULT_LIMIT = 1000
/** How many records one request looks at for those that fit. */
const MAX_SCANNED = 10_000
const PAGE = 500

const idField = {
  id: { type: 'string', description: 'Id of the host.', secret: false },
} as const

const listFields = {
  ...pageFields,
  group: { type: 'string', description: 'Only hosts of this group.' },
  tag: { type: 'string', description: 'Only hosts with this tag, `key=value`.' },
  name: { type: 'lowercase', description: 'Only hosts with this text in id or a name.' },
  state: { type: 'lowercase', description: 'Only hosts that are active, pending or disabled.' },
} as const

async function list({ store, fields }: Call<typeof listFields>): Promise<Outcome> {
  const { after, group, tag, name, state } = fields
  const folder = folderOf(group, tag)
  const limit = fields.limit > 0 ? Math.min(fields.limit, DEFAULT_LIMIT) : DEFAULT_LIMIT
  const found: HostRecord[] = []
  const fits = (host: HostRecord) =>
    (name === '' || [host.id, ...host.names].some((one) => one.includes(name))) &&
    (state === '' || host.state === state) &&
    (group === '' || host.groups.includes(group)) &&
    (tag === '' || host.tags.some(([key, value]) => `${key}=${value}` === tag))
  let last = after
  let scanned = 0
  let isMore = true
  while (isMore && found.length < limit && scanned < MAX_SCANNED) {
    const keys = await store.list(folder, last === '' ? '' : folder + last, PAGE)
    const ids = keys.map((key) => key.slice(folder.length))
    for (const [at, stored] of (
      await Promise.all(ids.map((id) => readHost(store, id)))
    ).entries()) {
      last = ids[at] as string
      scanned++
      if (stored && fits(stored.host)) found.push(stored.host)
      if (found.length === limit) break
    }
    isMore = keys.length === PAGE || found.length === limit
  }
  if (found.length === 0) throw absent()
  const info = found.map((host) => [host.id, { ...showLists(host), state: host.state }] as const)
  return {
    data: { keys: found.map(({ id }) => id), key_info: Object.fromEntries(info) },
    ...(isMore && { warnings: [`there may be more: list with after=${last}`] }),
  }
}

function folderOf(group: string, tag: string): string {
  if (group !== '' && !isGroup(group)) throw badRequest('group is no name of a group')
  const pair = parseTag(tag)
  if (tag !== '' && !pair) throw badRequest('tag has to be key=value')
  if (group !== '') return `${GROUP_INDEX}${group}/`
  return pair ? `${TAG_INDEX}${pair[0]}.${pair[1]}/` : HOSTS
}

const fields = {
  ...idField,
  ...hostFields,
  state: {
    type: 'lowercase',
    description: '`active`, or `disabled`: nothing is issued for the host, and it is told nothing.',
  },
} as const

/** What is not sent stays as it is. */
async function update(call: Call<typeof fields>): Promise<Outcome> {
  const { store, config, given, now } = call
  const { id, state } = call.fields
  if (!isHostId(id)) {
    throw badRequest('the id of a host: small letters, digits, dots and hyphens, 63 at most')
  }
  const stored = await readHost(store, id)
  if (!stored && !(await hostsConfig(config)).hostScope) {
    throw badRequest('the mount takes no hosts: write host_scope=true to config/hosts')
  }
  const wanted = states.find((one) => one === state)
  if (given.has('state') && (!wanted || wanted === 'pending')) {
    throw badRequest('state is active or disabled')
  }
  // Not disabled either: from there it would be one more write to let it in unseen.
  if (stored?.host.state === 'pending' && wanted) {
    throw badRequest(`the host waits for approval: write to hosts/${id}/approve, or delete it`)
  }
  const host: HostRecord = {
    ...(stored?.host ?? { ...NO_LISTS, id, state: 'active', createdAt: now }),
    ...listsOf(call.fields, given),
    ...(wanted && { state: wanted }),
  }
  await checkTaken(store, host)
  return { data: show(host), ...putHost(store, host, stored) }
}

function show(host: HostRecord): Record<string, unknown> {
  return {
    ...showLists(host),
    creation_time: new Date(host.createdAt).toISOString(),
    id: host.id,
    ...(host.joinToken !== undefined && { join_token_id: host.joinToken }),
    state: host.state,
  }
}

async function read({ store, fields: { id } }: Call<typeof fields>): Promise<Outcome> {
  const stored = await readHost(store, id)
  if (!stored) throw absent()
  const [pending, state, reports] = await Promise.all([
    pendingEnrolment(store, id),
    readState(store, id),
    showReports(store, id),
  ])
  return {
    data: {
      ...show(stored.host),
      ...reports,
      ...(state && { seen: showState(state) }),
      ...(pending && { pending_enrollment: pending }),
    },
  }
}

async function sshd({ store, fields: { id } }: Call<typeof idField>): Promise<Outcome> {
  const stored = await readHost(store, id)
  if (!stored) throw absent()
  const { groups, tags } = stored.host
  const body = sshdConfig({ hostId: id, groups, tags, keepsAuthorizedKeys: false })
  return { bare: { body, contentType: 'text/plain' } }
}

export const hostPaths: readonly Path[] = [
  declarePath({
    pattern: 'hosts',
    fields: listFields,
    operations: { list },
    synopsis: 'The hosts of this mount.',
    description: 'Lists ids, at most 1000 at once, with what is known of each host.',
  }),
  declarePath({
    pattern: 'hosts/:id',
    fields,
    operations: {
      read,
      update,
      delete: async ({ store, fields: { id } }) => {
        const stored = await readHost(store, id)
        return stored ? removeHost(store, stored) : {}
      },
    },
    synopsis: 'A host: its names, groups, tags, accounts and keys.',
    description:
      'A write makes a host or changes what it names; the rest stays. Group, tag and id are what scoped certificates are for, so that a change of groups or tags has to reach sshd on the host: postern-host does that, or hosts/:id/sshd_config by hand. ' +
      'Deleting a host ends what it may ask for; certificates that were issued for it end by themselves, or by revoke.',
  }),
  declarePath({
    pattern: 'hosts/:id/sshd_config',
    fields: idField,
    operations: { read: sshd },
    synopsis:
      'The settings that limit the sshd of a host to certificates meant for it, as plain text.',
    description:
      'To be put where sshd reads it before everything else: /etc/ssh/sshd_config.d/00-postern.conf. postern host setup does that, and tries it.',
  }),
]
