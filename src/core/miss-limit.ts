/** Placeholder until the full one lands. */
import type { Clock } from '../clock.ts'
export interface MissLimitOptions {
  readonly ratePerSecond: number
  readonly burst: number
  readonly clock: Clock
  readonly onSummary: (summary: object) => void
}
export class MissLimit {
  constructor(_options: MissLimitOptions) {}
  allows(_address: string, _mount: string): boolean {
    return true
  }
  charge(_address: string, _mount: string): void {}
}
