/** A store in memory and nodes over it: what the seal's tests begin with. */
import type { TestContext } from 'node:test'
import type { FirstRecords, InitRequest } from '../../src/seal/init.ts'
import { Seal, type SealOptions } from '../../src/seal/seal.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'

export const START: number = Date.parse('2026-11-22T18:00:00Z')

export const noRecords: FirstRecords = () => Promise.resolve([])

/** A clock that stands until it is moved. */
export class HandClock {
  #now = START

  now(): number {
    return this.#now
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds
  }
}

export async function memoryStore(t: TestContext): Promise<Store> {
  const store = await openSqliteStore({ path: ':memory:' })
  t.after(() => store.close())
  return store
}

export function shamirNode(store: Store, options: Partial<SealOptions> = {}): Seal {
  return new Seal(store, { seal: { type: 'shamir' }, clock: new HandClock(), ...options })
}

export function staticNode(store: Store, key: Buffer, keyId = 'first'): Seal {
  const seal = { type: 'static', keyId, loadKey: () => Buffer.from(key) } as const
  return new Seal(store, { seal, clock: new HandClock() })
}

/** Initialises and gives the shares in hex. */
export async function initialized(
  seal: Seal,
  request: InitRequest = { shares: 3, threshold: 2 },
): Promise<string[]> {
  const { keys } = await seal.initialize(request, noRecords)
  return keys.map((key) => key.toString('hex'))
}

export async function unsealWith(seal: Seal, shares: readonly string[]): Promise<void> {
  for (const key of shares) await seal.unseal({ key })
}

/** An unsealed node with its shares: any two of three. */
export async function unsealed(
  t: TestContext,
  options: Partial<SealOptions> = {},
): Promise<{ store: Store; seal: Seal; shares: string[] }> {
  const store = await memoryStore(t)
  const seal = shamirNode(store, options)
  const shares = await initialized(seal)
  await unsealWith(seal, shares.slice(0, 2))
  return { store, seal, shares }
}

/** What a call is refused with: its status and text. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    const { status, message } = error as { status?: number; message: string }
    return `${status} ${message}`
  }
  return 'accepted'
}
