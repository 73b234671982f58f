/**
 * A socket that takes turns with the others of its kind: `ssh2` calculates on the event loop, and twenty handshakes whose
 * packets come together would hold up every request for their sum.
 */
import { Socket } from 'node:net'

/** How long these sockets may calculate before the event loop goes on with what else is there. */
const TURN_MS = 3

const waiting: (() => void)[] = []
let isScheduled = false

/** Calls it soon, when it is its turn. It must not throw. */
export function inTurn(work: () => void): void {
  waiting.push(work)
  if (isScheduled) return
  isScheduled = true
  setImmediate(takeTurn)
}

export class PacedSocket extends Socket {
  /** What was read is handed on later. Memory is bounded by whoever counts `bytesRead`. */
  override push(chunk: Uint8Array | null): boolean {
    inTurn(() => {
      if (!this.destroyed) super.push(chunk)
    })
    return true
  }
}

function takeTurn(): void {
  const end = performance.now() + TURN_MS
  while (waiting.length > 0 && performance.now() < end) waiting.shift()?.()
  isScheduled = waiting.length > 0
  if (isScheduled) setImmediate(takeTurn)
}
