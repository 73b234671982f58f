/** How far the reports of each host have come, kept beside its record. */
import { rfc3339 } from '../../../clock.ts'
import { decodeRecord, type StoreView } from '../../../storage/view.ts'
import { REPORTS } from './login-store.ts'

export interface ReportState {
  readonly stream: string
  /** The last number that was told. */
  readonly acknowledged: number
  /** Events that were never told, as far as their number is known. */
  readonly missing: number
  readonly bootId: string
  /** Milliseconds since the epoch. */
  readonly reportedAt: number
  /** How far the host's clock was ahead. */
  readonly skewSeconds: number
  /** Events that were told in this hour since the epoch. */
  readonly hour: { readonly number: number; readonly events: number }
}

/** How far the reports of a host have come, as `hosts/:id` shows it; nothing where it has sent none. */
export async function showReports(store: StoreView, id: string): Promise<Record<string, unknown>> {
  const entry = await store.get(REPORTS + id)
  if (!entry) return {}
  const state = decodeRecord<ReportState>(entry.value)
  return {
    reports: {
      acknowledged: state.acknowledged,
      clock_skew: state.skewSeconds,
      last_report: rfc3339(state.reportedAt),
      missing_events: state.missing,
    },
  }
}
