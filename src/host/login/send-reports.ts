/** Sends what the spool holds to the server, oldest first (protocols 5.4). What it has acknowledged is forgotten. */
import type { JsonObject } from '../../client/json.ts'
import type { Spool } from './spool.ts'

/** What the server takes at once. */
const BATCH = 100

/** What goes with each report. */
export type HostFacts = {
  readonly agent_version: string
  readonly boot_id: string
  readonly krl_version?: number
}

/** Sends the body to `host/report`, signed; resolves to the data of the answer. */
export type SendReport = (body: JsonObject) => Promise<JsonObject>

/** Resolves when the server has all events. Rejects where it does not answer: everything stays for the next time. */
export async function sendReports(spool: Spool, send: SendReport, facts: HostFacts): Promise<void> {
  do {
    const events = spool.read(BATCH) as JsonObject[]
    const last = (events.at(-1)?.['seq'] as number | undefined) ?? spool.next - 1
    const { acknowledged } = await send({
      stream: spool.stream,
      sequence_first: (events[0]?.['seq'] as number | undefined) ?? spool.next,
      events,
      state: { ...facts },
    })
    if (acknowledged !== last) throw new Error('the server has not taken the reports')
    spool.acknowledge(last)
  } while (!spool.isEmpty)
}
