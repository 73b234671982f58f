/**
 * `host/report`: what a host tells of its logins, signed with its key (protocols 5.4). A host speaks for itself alone; what it has
 * told counts once, and numbers that are missing are shown as a gap.
 */
import { badRequest, PosternError, SshFormatError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { hostHeaders } from '../../../ssh/host/host-request.ts'
import { type LoginEvent, parseLoginEvent } from '../../../ssh/host/login-event.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'
import { seen } from '../host/host-state.ts'
import type { HostRequests } from '../host/signed-request.ts'
import { REPORTS } from './login-store.ts'
import type { ReportState } from './report-state.ts'
import { ReportedLogins } from './reported-logins.ts'

const MAX_EVENTS = 200
/** A host that was taken over fills the store no faster than this. */
const MAX_EVENTS_AN_HOUR = 50_000
const HOUR_MS = 3_600_000

const fields = {
  stream: {
    type: 'string',
    description: 'Names the spool in which the events are numbered; another one begins anew.',
  },
  sequence_first: {
    type: 'int',
    description: 'Number of the first event; without events that of the next one there will be.',
  },
  events: {
    type: 'any',
    description: `Logins and logouts in the order of their numbers, ${MAX_EVENTS} at most.`,
  },
  state: {
    type: 'string-map',
    description: 'What the host tells of itself: boot_id, agent_version, ssh_version, krl_version.',
  },
} as const

async function report(call: Call<typeof fields>, requests: HostRequests): Promise<Outcome> {
  const host = await requests.hostOf(call)
  const { store, now } = call
  const { stream, sequence_first: first, state } = call.fields
  if (!/^[0-9a-f-]{8,36}$/.test(stream)) throw badRequest('stream is no id of a spool')
  if (!Number.isSafeInteger(first) || first < 1) throw badRequest('sequence_first is from 1 on')
  const events = eventsOf(call.fields.events, first)
  const bootId = state.get('boot_id') ?? ''
  if (!/^[0-9a-f]{0,32}$/.test(bootId)) throw badRequest('boot_id is none')

  const entry = await store.get(REPORTS + host.id)
  const before = entry && decodeRecord<ReportState>(entry.value)
  const hour = hourOf(before, now, events.length)
  const isSameStream = before?.stream === stream
  const skewSeconds = skewOf(call)
  const logins = new ReportedLogins(call, host, skewSeconds)
  let acknowledged = isSameStream ? before.acknowledged : 0
  if (before && !isSameStream) logins.gap(`${stream}/0`, 0, undefined)
  let missing = before?.missing ?? 0
  const reach = (seq: number) => {
    const lost = seq - acknowledged - 1
    if (lost > 0) logins.gap(`${stream}/${seq}`, seq, lost)
    missing += Math.max(0, lost)
  }
  for (const event of events) {
    if (event.seq <= acknowledged) continue
    reach(event.seq)
    await logins.take(event)
    acknowledged = event.seq
  }
  if (events.length === 0 && first > acknowledged + 1) {
    reach(first)
    acknowledged = first - 1
  }
  if (bootId !== '' && before?.bootId !== bootId) await logins.endOtherBoots(bootId)
  const after: ReportState = {
    stream,
    acknowledged,
    missing,
    bootId: bootId || (before?.bootId ?? ''),
    reportedAt: now,
    skewSeconds,
    hour,
  }
  return {
    data: { acknowledged: events.at(-1)?.seq ?? acknowledged },
    writes: [
      ...logins.writes(),
      store.put(REPORTS + host.id, encodeRecord(after)),
      ...(await seen(store, host.id, now, newsOf(call))),
    ],
    // Of two reports of one host at once the second is judged again.
    conditions: [store.when(REPORTS + host.id, entry?.version ?? 'absent')],
  }
}

function eventsOf(value: unknown, first: number): LoginEvent[] {
  if (!Array.isArray(value)) throw badRequest('events is a list')
  if (value.length > MAX_EVENTS) throw badRequest(`a report has ${MAX_EVENTS} events at most`)
  try {
    const events = value.map(parseLoginEvent)
    const isOrdered = events.every(({ seq }, at) => seq > (events[at - 1]?.seq ?? first - 1))
    if (!isOrdered || (events[0] && events[0].seq !== first)) {
      throw badRequest('events are in the order of their numbers, from sequence_first on')
    }
    return events
  } catch (error) {
    throw error instanceof SshFormatError ? badRequest(`events: ${error.message}`) : error
  }
}

/** Throws when the host has told too much in this hour. */
function hourOf(before: ReportState | undefined, now: number, more: number): ReportState['hour'] {
  const number = Math.floor(now / HOUR_MS)
  const events = (before?.hour.number === number ? before.hour.events : 0) + more
  if (events <= MAX_EVENTS_AN_HOUR) return { number, events }
  throw new PosternError('too_many_requests', 'the host has reported too much in this hour')
}

/** The request's own time is signed, and near. */
function skewOf({ headers, now }: Call): number {
  return Math.round(Number(headers.get(hostHeaders.time)) - now / 1000)
}

function newsOf({ fields: { state }, remoteAddress }: Call<typeof fields>) {
  const version = (name: string) => {
    const text = state.get(name) ?? ''
    return /^[\w.+: -]{1,64}$/.test(text) ? text : undefined
  }
  const [krl, agentVersion, sshVersion] = [
    version('krl_version'),
    version('agent_version'),
    version('ssh_version'),
  ]
  return {
    remoteAddress,
    ...(krl !== undefined && /^[0-9]{1,15}$/.test(krl) && { krlVersion: Number(krl) }),
    ...(agentVersion !== undefined && { agentVersion }),
    ...(sshVersion !== undefined && { sshVersion }),
  }
}

export function reportPath(requests: HostRequests): Path {
  return declarePath({
    pattern: 'host/report',
    fields,
    auth: 'none',
    chargesMisses: true,
    operations: { update: (call) => report(call, requests) },
    synopsis: 'What a host tells of its logins.',
    description:
      'For postern-host, which signs the request with its host key. Each event counts once, by its number; the answer says up to which number the server has them. Numbers that are left out are shown as a gap.',
  })
}
