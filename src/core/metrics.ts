/** Counts of the server, kept as plain numbers; the Prometheus registry is made at the first scrape. */
import type { Registry } from 'prom-client'

const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export class Metrics {
  readonly contentType: string = PROMETHEUS_TYPE
  readonly #requests = new Map<string, number>()
  #seconds = 0
  #inFlight = 0
  #registry: Registry | undefined
  readonly #isUnsealed: () => boolean

  constructor(isUnsealed: () => boolean) {
    this.#isUnsealed = isUnsealed
  }

  begin(): void {
    this.#inFlight++
  }

  /** `status` is an HTTP status; `milliseconds` the time that the request took. */
  end(status: number, milliseconds: number): void {
    this.#inFlight--
    this.#seconds += milliseconds / 1000
    const code = String(status)
    this.#requests.set(code, (this.#requests.get(code) ?? 0) + 1)
  }

  async text(): Promise<string> {
    this.#registry ??= await this.#makeRegistry()
    return this.#registry.metrics()
  }

  /** Gauges in the family's JSON form. */
  json(): Promise<Record<string, unknown>> {
    const gauge = (name: string, value: number) => ({ Name: name, Value: value, Labels: {} })
    return Promise.resolve({
      Timestamp: new Date().toISOString().replace('T', ' ').replace(/\..*/, ' +0000 UTC'),
      Gauges: [
        gauge('postern.core.active', this.#isUnsealed() ? 1 : 0),
        gauge('postern.core.in_flight_requests', this.#inFlight),
        gauge('postern.runtime.resident_bytes', process.memoryUsage.rss()),
      ],
      Points: [],
      Counters: [...this.#requests].map(([code, count]) => ({
        Name: 'postern.core.handle_request',
        Count: count,
        Labels: { code },
      })),
      Samples: [],
    })
  }

  async #makeRegistry(): Promise<Registry> {
    const { collectDefaultMetrics, Counter, Gauge, Registry } = await import('prom-client')
    const registry = new Registry()
    collectDefaultMetrics({ register: registry })
    const requests = this.#requests
    registry.registerMetric(
      new Counter({
        name: 'postern_requests_total',
        help: 'Requests answered, by HTTP status.',
        labelNames: ['code'],
        registers: [],
        collect() {
          this.reset()
          for (const [code, count] of requests) this.inc({ code }, count)
        },
      }),
    )
    const gauge = (name: string, help: string, read: () => number) =>
      registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(read())
          },
        }),
      )
    gauge(
      'postern_request_seconds_sum',
      'Time spent on requests since the start.',
      () => this.#seconds,
    )
    gauge('postern_in_flight_requests', 'Requests under way.', () => this.#inFlight)
    gauge('postern_unsealed', '1 while the server is unsealed.', () => (this.#isUnsealed() ? 1 : 0))
    return registry
  }
}
