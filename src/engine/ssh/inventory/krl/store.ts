/**
 * What a mount has revoked, as it is stored: a head with the version, and the serials of each issuer in chunks. The KRL of
 * a version is a function of these rows alone. Every change is one commit on the head that was read (protocols 1.10, 5.6).
 */
import type { Condition, Write } from '../../../../storage/store.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../../storage/view.ts'

const HEAD = 'krl/head'
const CHUNKS = 'krl/chunk/'
export const ISSUER_KEYS = 'krl/ca/'
export const REVOKED_KEYS = 'krl/keys/'
export const ENTRY_BYTES = 12
/** 1,024 entries: little for one revocation to write, and few enough rows for a whole list. */
const CHUNK_BYTES = 1024 * ENTRY_BYTES
/** Unix seconds that stand for no end. */
export const NEVER = 0xffffffff

export interface KrlHead {
  /** 0 before the first revocation; never goes back. */
  readonly version: number
  /** Unix seconds: the date in the KRL. */
  readonly updatedAt: number
  /** Of each issuer, the number of the chunk that takes the next serial. */
  readonly open: readonly (readonly [issuerId: string, chunk: number])[]
}

export interface StoredHead {
  readonly head: KrlHead
  /** That nobody has changed the list since. */
  readonly condition: Condition
}

export interface RevokedSerial {
  readonly serial: bigint
  /** Unix seconds, at most `NEVER`: when the certificate ends and its serial may leave the list. */
  readonly expiresAt: number
}

export async function readHead(store: StoreView): Promise<StoredHead> {
  const entry = await store.get(HEAD)
  return {
    head: entry ? decodeRecord<KrlHead>(entry.value) : { version: 0, updatedAt: 0, open: [] },
    condition: store.when(HEAD, entry?.version ?? 'absent'),
  }
}

/** The version of the list; hosts take no lower one than they have. 0: nothing was ever revoked. */
export async function krlVersion(store: StoreView): Promise<number> {
  return (await readHead(store)).head.version
}

/**
 * The head of the next version. Above every version of before a restore, of which the store knows nothing: nobody
 * revokes a thousand times a second.
 */
export function putHead(
  store: StoreView,
  { version }: KrlHead,
  open: KrlHead['open'],
  now: number,
): Write {
  const next = { version: Math.max(version + 1, now), updatedAt: Math.floor(now / 1000), open }
  return store.put(HEAD, encodeRecord(next satisfies KrlHead))
}

/** Keeps an issuer's public key, for when the issuer is deleted before its certificates have ended. */
export function putIssuerKey(store: StoreView, issuerId: string, caKey: Uint8Array): Write {
  return store.put(ISSUER_KEYS + issuerId, caKey)
}

export function decodeChunk(chunk: Uint8Array): RevokedSerial[] {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const serials: RevokedSerial[] = []
  for (let at = 0; at + ENTRY_BYTES <= chunk.length; at += ENTRY_BYTES) {
    serials.push({ serial: view.getBigUint64(at), expiresAt: view.getUint32(at + 8) })
  }
  return serials
}

export function encodeChunk(serials: readonly RevokedSerial[]): Uint8Array {
  const chunk = Buffer.alloc(serials.length * ENTRY_BYTES)
  for (const [at, { serial, expiresAt }] of serials.entries()) {
    chunk.writeBigUInt64BE(serial, at * ENTRY_BYTES)
    chunk.writeUInt32BE(expiresAt, at * ENTRY_BYTES + 8)
  }
  return chunk
}

const chunkName = (issuerId: string, chunk: number): string =>
  `${CHUNKS}${issuerId}/${chunk.toString(16).padStart(8, '0')}`

/** The writes that add serials to an issuer's chunks, and the number of the chunk that is open then. */
export async function addSerials(
  store: StoreView,
  { open }: KrlHead,
  issuerId: string,
  serials: readonly RevokedSerial[],
): Promise<{ readonly writes: readonly Write[]; readonly chunk: number }> {
  let chunk = new Map(open).get(issuerId) ?? 0
  const entry = await store.get(chunkName(issuerId, chunk))
  let rest = Buffer.concat([entry?.value ?? new Uint8Array(0), encodeChunk(serials)])
  const writes: Write[] = []
  for (; ; chunk++) {
    writes.push(store.put(chunkName(issuerId, chunk), rest.subarray(0, CHUNK_BYTES)))
    rest = rest.subarray(CHUNK_BYTES)
    if (rest.length === 0) return { writes, chunk }
  }
}

/** The names of all chunks with the issuers that they belong to, in order. */
export async function allChunks(store: StoreView): Promise<{ issuerId: string; name: string }[]> {
  const names = await allNames(store, CHUNKS)
  return names.map((name) => ({ issuerId: name.slice(CHUNKS.length, -9), name }))
}

/** Everything that a version's KRL is made of. */
export interface KrlContent {
  readonly version: number
  /** Unix seconds. */
  readonly generatedAt: number
  readonly issuers: readonly {
    /** Key blob of the CA; no two have the same. */
    readonly caKey: Uint8Array
    /** As stored: `decodeChunk` reads them. In no order, and a serial may stand twice. */
    readonly chunks: readonly Uint8Array[]
  }[]
  /** SHA-256 of key blobs, in numeric order. */
  readonly keyHashes: readonly Uint8Array[]
}

/** Reads what the list holds now. */
export async function readKrlContent(store: StoreView): Promise<KrlContent> {
  for (;;) {
    const { head } = await readHead(store)
    const content = await readRows(store, head)
    if ((await krlVersion(store)) === head.version) return content
  }
}

async function readRows(store: StoreView, head: KrlHead): Promise<KrlContent> {
  const [chunks, caNames, keyNames] = await Promise.all([
    allChunks(store),
    allNames(store, ISSUER_KEYS),
    allNames(store, REVOKED_KEYS),
  ])
  const [values, caKeys] = await Promise.all([
    store.getAll(chunks.map(({ name }) => name)),
    store.getAll(caNames),
  ])
  const caKeyOf = new Map(
    caNames.map((name, at) => [name.slice(ISSUER_KEYS.length), caKeys[at]?.value]),
  )
  // By key: a CA key that was deleted and imported anew has two ids, and one section.
  const sections = new Map<string, { caKey: Uint8Array; chunks: Uint8Array[] }>()
  for (const [at, { issuerId }] of chunks.entries()) {
    const [caKey, chunk] = [caKeyOf.get(issuerId), values[at]?.value]
    if (!caKey || !chunk) continue
    const name = Buffer.from(caKey).toString('base64')
    const section = sections.get(name) ?? { caKey, chunks: [] }
    sections.set(name, section)
    section.chunks.push(chunk)
  }
  return {
    version: head.version,
    generatedAt: head.updatedAt,
    issuers: [...sections].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, one]) => one),
    keyHashes: keyNames.map((name) => Buffer.from(name.slice(REVOKED_KEYS.length), 'hex')),
  }
}

const PAGE = 500

async function allNames(store: StoreView, folder: string): Promise<string[]> {
  const names: string[] = []
  for (let after = ''; ; after = names.at(-1) as string) {
    const page = await store.list(folder, after, PAGE)
    names.push(...page)
    if (page.length < PAGE) return names
  }
}
