/** The thread that builds long KRLs: takes content, gives bytes. Started by `krl-build.ts`. */
import { parentPort } from 'node:worker_threads'
import type { KrlDelivery, KrlOrder } from './build.ts'
import { krlBytes } from './bytes.ts'

// A report of the process shows the environment once more for each thread (protocols 6.1).
if (process.report) process.report.excludeEnv = true

parentPort?.on('message', ({ id, content }: KrlOrder) => {
  try {
    const { bytes, sha256 } = krlBytes(content)
    const whole = Uint8Array.from(bytes)
    parentPort?.postMessage({ id, krl: { bytes: whole, sha256 } } satisfies KrlDelivery, [
      whole.buffer,
    ])
  } catch (error) {
    const failure = (error as Error).message
    parentPort?.postMessage({ id, failure } satisfies KrlDelivery)
  }
})
