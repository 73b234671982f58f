/**
 * `node bench/storage.ts [folder]`: what a commit costs beside the disk's own sync, durable rows a
 * second, and reads.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openSqliteStore } from '../src/storage/sqlite/sqlite.ts'
import type { Store } from '../src/storage/store.ts'

const VALUE = Buffer.alloc(400, 7)
const ROWS = 4

const folder = mkdtempSync(path.join(process.argv[2] ?? tmpdir(), 'postern-bench-'))
try {
  console.log(`disk: one 16 KiB append and its sync takes ${medianMs(syncTimes())} ms (median)`)
  for (const where of ['file', 'memory']) {
    const store = await openSqliteStore({
      path: where === 'memory' ? ':memory:' : path.join(folder, 'bench.db'),
    })
    for (const clients of [1, 16, 64]) await writes(store, where, clients)
    await reads(store, where)
    await store.close()
  }
} finally {
  rmSync(folder, { recursive: true })
}

function syncTimes(): number[] {
  const file = openSync(path.join(folder, 'sync'), 'w')
  const block = Buffer.alloc(16_384, 1)
  const times: number[] = []
  for (let i = 0; i < 200; i++) {
    const start = performance.now()
    writeSync(file, block)
    fdatasyncSync(file)
    times.push(performance.now() - start)
  }
  closeSync(file)
  return times
}

async function writes(store: Store, where: string, clients: number): Promise<void> {
  const times: number[] = []
  const end = performance.now() + 3_000
  let count = 0
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const start = performance.now()
      const name = String(count++)
      const batch = Array.from({ length: ROWS }, (_, row) => ({
        key: `part${row}/${(Number(name) * 2_654_435_761) % 4_294_967_296}`,
        value: VALUE,
      }))
      await store.commit(batch, [{ key: batch[0]?.key ?? '', is: 'absent' }])
      times.push(performance.now() - start)
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: clients }, client))
  const perSecond = Math.round((count * ROWS * 1000) / (performance.now() - start))
  console.log(`${where} c=${clients}: ${perSecond} rows/s, batch of ${ROWS} ${medianMs(times)} ms`)
}

async function reads(store: Store, where: string): Promise<void> {
  const keys = await store.list('part1/', '', 3)
  const count = 50_000
  const start = performance.now()
  for (let i = 0; i < count; i++) await store.get(keys)
  const micros = ((performance.now() - start) * 1000) / count
  console.log(`${where}: get of 3 keys ${micros.toFixed(1)} us`)
}

function medianMs(times: number[]): string {
  return (times.sort((a, b) => a - b)[times.length >> 1] ?? 0).toFixed(2)
}
