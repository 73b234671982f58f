/** How long and how large a request may be (contract 1.1); a connection that is idle costs nothing but memory. */

export interface HttpLimits {
  /** Of one body. */
  readonly maxBodyBytes: number
  /** Of the bodies that unfinished requests hold, together: beyond it the largest that still arrives is refused. */
  readonly maxHeldBodyBytes: number
  /** Of request line and headers. */
  readonly maxHeaderBytes: number
  /** From the first byte (or the connection's start) to the end of the headers. */
  readonly headersMilliseconds: number
  /** From the first byte to the end of the body. */
  readonly bodyMilliseconds: number
  /** From the end of the body to the answer. */
  readonly requestMilliseconds: number
  /** Between two requests of a connection: Go's clients keep theirs for 90 s, so it is longer. */
  readonly keepAliveMilliseconds: number
  readonly tlsHandshakeMilliseconds: number
  /** How often the first two times are looked at. */
  readonly checkMilliseconds: number
  readonly maxConnections: number
}

export const defaultLimits: HttpLimits = {
  maxBodyBytes: 32 * 1024 * 1024,
  maxHeldBodyBytes: 128 * 1024 * 1024,
  maxHeaderBytes: 32 * 1024,
  headersMilliseconds: 10_000,
  bodyMilliseconds: 90_000,
  requestMilliseconds: 90_000,
  keepAliveMilliseconds: 120_000,
  tlsHandshakeMilliseconds: 10_000,
  checkMilliseconds: 5_000,
  maxConnections: 50_000,
}
