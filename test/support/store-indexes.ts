/** Looks into the store of a server that does not run: do its indexes and records belong together? */

import { Seal } from '../../src/seal/seal.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'
import { decodeRecord } from '../../src/storage/view.ts'
import { keysIn } from './core.ts'

const clock = { now: Date.now }

export interface IndexReport {
  /** Keys that point at nothing, and records that no index knows; each with its reason. */
  readonly stray: readonly string[]
  /** Tokens whose revocation has begun and is not over. */
  readonly revoking: number
}

/** Opens the store file; `unsealKey` is its one share. One-time passwords are those of all mounts. */
export async function checkIndexes(file: string, unsealKey: string): Promise<IndexReport> {
  const store = await openSqliteStore({ path: file, clock })
  try {
    const seal = new Seal(store, { seal: { type: 'shamir' }, clock })
    await seal.unseal({ key: unsealKey })
    return await report(store, seal.barrier)
  } finally {
    await store.close()
  }
}

async function report(raw: Store, barrier: Store): Promise<IndexReport> {
  const under = async (prefix: string) =>
    new Set((await keysIn(raw, prefix)).map((key) => key.slice(prefix.length)))
  const [tokens, revoking, leases] = [
    await under('tok/'),
    await under('revoking/'),
    await under('lease/'),
  ]
  const isToken = (id: string) => tokens.has(id) || revoking.has(id)
  const stray: string[] = []
  const check = (isFine: boolean, reason: string) => {
    if (!isFine) stray.push(reason)
  }

  const due = new Set<string>()
  for (const key of await under('exp/')) {
    const id = key.slice(key.indexOf('/') + 1)
    check(leases.has(id), `exp/${key} is due without a lease`)
    check(!due.has(id), `exp/${key} is due twice`)
    due.add(id)
  }
  const held = new Set<string>()
  for (const key of await under('held/')) {
    const [holder = '', id = ''] = [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)]
    check(leases.has(id), `held/${key} holds no lease`)
    check(isToken(holder), `held/${key} has no holder`)
    held.add(id)
  }
  let passwords = 0
  for (const id of leases) {
    check(due.has(id), `lease/${id} never ends`)
    const [entry] = await barrier.get([`lease/${id}`])
    const lease = decodeRecord<{ kind: string; tokenId: string }>(entry!.value)
    check(isToken(lease.tokenId), `lease/${id} belongs to no token`)
    if (lease.kind === 'secret') {
      passwords++
      check(held.has(id), `lease/${id} is held by nobody`)
    }
  }
  for (const key of await under('kin/')) {
    const [parent = '', child = ''] = key.split('/')
    check(isToken(parent), `kin/${key} has no parent`)
    check(isToken(child), `kin/${key} has no child`)
  }
  const named = new Set<string>()
  for (const accessor of await under('acc/')) {
    const [entry] = await barrier.get([`acc/${accessor}`])
    const { id } = decodeRecord<{ id: string }>(entry!.value)
    check(isToken(id), `acc/${accessor} names no token`)
    named.add(id)
  }
  for (const id of [...tokens, ...revoking]) check(named.has(id), `tok/${id} has no accessor`)
  for (const id of await under('wrap/')) check(isToken(id), `wrap/${id} has no token`)
  const stored = (await keysIn(raw, 'data/')).filter((key) => key.includes('/otp/')).length
  check(stored === passwords, `${stored} passwords and ${passwords} leases of passwords`)
  return { stray, revoking: revoking.size }
}
