/** Sends what the spool holds to the server, oldest first (protocols 5.4). What it has acknowledged is forgotten. */
import type { JsonObject } from '../../client/json.ts'
import type { Spool } from './spool.ts'

/** What the server takes at once. */
const BATCH = 100
/** Without events the server is told this often how the host is. */
const STATE_EVERY_MS = 5 * 60_000

/** What goes with each report. */
export interface HostFacts {
  readonly agent_version: string
  readonly boot_id: string
  readonly krl_version?: number | undefined
}

/** Sends the body to `host/report`, signed; resolves to the data of the answer. */
export type SendReport = (body: JsonObject) => Promise<JsonObject>

/**
 * Resolves when the server has all events, to when it was last told how the host is. Rejects where it does not answer:
 * everything stays for the next time.
 */
export async function sendReports(
  spool: Spool,
  send: SendReport,
  options: { readonly facts: HostFacts; readonly lastSent: number; readonly now: number },
): Promise<number> {
  const { facts, lastSent, now } = options
  for (let isFirst = true; ; isFirst = false) {
    const events = spool.read(BATCH) as JsonObject[]
    const isDue = isFirst && now - lastSent >= STATE_EVERY_MS
    if (events.length === 0 && !isDue) return isFirst ? lastSent : now
    const body = {
      stream: spool.stream,
      sequence_first: (events[0]?.['seq'] as number | undefined) ?? spool.next,
      events,
      state: { ...facts },
    }
    const { acknowledged } = await send(body as JsonObject)
    if (events.length === 0) return now
    const last = events.at(-1)?.['seq'] as number
    if (acknowledged !== last) throw new Error('the server has not taken the reports')
    spool.acknowledge(last)
  }
}
