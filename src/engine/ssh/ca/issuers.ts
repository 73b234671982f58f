/**
 * The CA keys of a mount (contract 6.2 and 6.4): each under its id, and one index with their names and the default.
 * Both are configuration, so that signing reads neither from the store.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { badRequest } from '../../../errors.ts'
import type { Call, ConfigView } from '../../../mount/call.ts'
import { namePatterns } from '../../../mount/path.ts'
import { uuid } from '../../../random.ts'
import { parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import type { PrivateKey } from '../../../ssh/key/private-key.ts'
import type { PublicKey } from '../../../ssh/key/public-key.ts'
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'
import { putIssuerKey } from '../inventory/krl/store.ts'

const INDEX = 'config/issuers'
const ISSUERS = 'issuers/'
/** Stands for the default issuer wherever an issuer is named. */
export const DEFAULT_REF = 'default'
const NO_DEFAULT = 'no default issuer currently configured'

interface IssuerRecord {
  readonly publicKeyText: string
  /** PKCS8 in base64: OpenSSL reads it at once, whatever form was imported. */
  readonly privateKey: string
}

export interface Issuer {
  /** As it was given or generated: returned to the byte. */
  readonly publicKeyText: string
  readonly publicKey: PublicKey
  readonly keyObject: KeyObject
}

/**
 * What an issuer signs, fixed when it is made: names as they are asked for, or only names that say for which hosts they
 * are (protocols 5.1).
 */
export type IssuerUsage = 'bare' | 'scoped'

/** An issuer as lists know it. The name is empty where it has none. */
export interface IssuerEntry {
  readonly id: string
  readonly name: string
  /** Absent: bare. */
  readonly usage?: 'scoped'
}

export interface IssuerIndex {
  /** Never a scoped one. */
  readonly defaultId: string | undefined
  /** The scoped issuer of roles that name none. */
  readonly scopedId?: string | undefined
  /** In the order of their ids. */
  readonly issuers: readonly IssuerEntry[]
}

const NO_ISSUERS: IssuerIndex = { defaultId: undefined, issuers: [] }

export async function issuerIndex(config: ConfigView): Promise<IssuerIndex> {
  return (await config.get(INDEX, decodeRecord<IssuerIndex>)) ?? NO_ISSUERS
}

export async function issuerOf(config: ConfigView, { id }: IssuerEntry): Promise<Issuer> {
  const issuer = await config.get(ISSUERS + id, decodeIssuer)
  if (!issuer) throw new TypeError(`internal error: issuer ${id} is in the index only`)
  return issuer
}

function decodeIssuer(value: Uint8Array): Issuer {
  const { publicKeyText, privateKey } = decodeRecord<IssuerRecord>(value)
  const key = Buffer.from(privateKey, 'base64')
  return {
    publicKeyText,
    publicKey: parseAuthorizedKey(publicKeyText),
    keyObject: createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
  }
}

/** The issuer that a reference names: `default`, an id or a name. Refuses one that names none. */
export function resolveIssuer(index: IssuerIndex, ref: string): IssuerEntry {
  const entry = lookUp(index, ref)
  if (entry) return entry
  throw badRequest(ref === DEFAULT_REF ? NO_DEFAULT : `unable to find issuer for reference: ${ref}`)
}

/** The issuer of this usage for a role that names this reference. Refuses one that names none, or one of the other usage. */
export function signingIssuer(index: IssuerIndex, ref: string, usage: IssuerUsage): IssuerEntry {
  const isScoped = usage === 'scoped'
  if (isScoped && ref === DEFAULT_REF) return scopedIssuer(index)
  const entry = resolveIssuer(index, ref)
  if (usageOf(entry) === usage) return entry
  throw badRequest(
    isScoped
      ? `issuer ${ref} of the role is not a scoped one: it signs no certificate for chosen hosts`
      : `issuer ${ref} of the role is a scoped one: it signs only certificates for a host, group or tag`,
  )
}

/** The scoped issuer of roles that name none. Refuses where there is none. */
export function scopedIssuer({ scopedId, issuers }: IssuerIndex): IssuerEntry {
  const entry = issuers.find(({ id }) => id === scopedId)
  if (entry) return entry
  throw badRequest('no scoped issuer currently configured: write host_scope=true to config/hosts')
}

export function usageOf({ usage }: IssuerEntry): IssuerUsage {
  return usage ?? 'bare'
}

/** As `resolveIssuer`, undefined where it refuses. An id goes before an equal name. */
export function lookUp({ defaultId, issuers }: IssuerIndex, ref: string): IssuerEntry | undefined {
  const id = ref === DEFAULT_REF ? defaultId : ref
  return issuers.find((one) => one.id === id) ?? issuers.find((one) => one.name === ref)
}

/** Refuses names that can't be in a path, are kept for the default, or belong to another issuer. */
export function checkIssuerName(index: IssuerIndex, name: string, ownId?: string): void {
  if (name === DEFAULT_REF) {
    throw badRequest("reserved keyword 'default' can not be used as issuer name")
  }
  if (name.length > 512 || !namePatterns.issuer.test(name)) {
    throw badRequest('issuer name contained invalid characters')
  }
  const other = lookUp(index, name)
  if (other && other.id !== ownId) throw badRequest('issuer name already in use')
}

export function putIndex(config: ConfigView, index: IssuerIndex): Write {
  return config.put(INDEX, encodeRecord(index))
}

function putIssuer(config: ConfigView, id: string, key: PrivateKey, publicKeyText: string): Write {
  const privateKey = key.keyObject.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  return config.put(
    ISSUERS + id,
    encodeRecord({ publicKeyText, privateKey } satisfies IssuerRecord),
  )
}

export interface NewIssuer {
  readonly name: string
  readonly usage: IssuerUsage
  /** Becomes the one that signs for roles that name none. */
  readonly isDefault: boolean
  readonly key: PrivateKey
  readonly publicKeyText: string
}

/** A new issuer of the mount, with the writes that add it. */
export function newIssuer(
  config: ConfigView,
  index: IssuerIndex,
  { name, usage, isDefault, key, publicKeyText }: NewIssuer,
): { readonly entry: IssuerEntry; readonly writes: readonly Write[] } {
  const entry: IssuerEntry = { id: uuid(), name, ...(usage === 'scoped' && { usage }) }
  const issuers = [...index.issuers, entry].sort((one, other) => (one.id < other.id ? -1 : 1))
  const place = usage === 'scoped' ? 'scopedId' : 'defaultId'
  const changed = { ...index, issuers, ...(isDefault && { [place]: entry.id }) }
  return {
    entry,
    writes: [putIssuer(config, entry.id, key, publicKeyText), putIndex(config, changed)],
  }
}

/** The writes that remove an issuer. Its public key stays, so that what it has signed can be revoked. */
export async function issuerRemoval(
  { config, store }: Pick<Call, 'config' | 'store'>,
  entry: IssuerEntry,
): Promise<Write[]> {
  const { publicKey } = await issuerOf(config, entry)
  return [config.remove(ISSUERS + entry.id), putIssuerKey(store, entry.id, publicKey.blob)]
}

export function removeIndex(config: ConfigView): Write {
  return config.remove(INDEX)
}

/** An issuer in wire names, as reads of it and of config/ca show it. */
export async function showIssuer(
  config: ConfigView,
  entry: IssuerEntry,
): Promise<Record<string, unknown>> {
  return issuerData(entry, (await issuerOf(config, entry)).publicKeyText)
}

/** The usage is shown only where it is not the one of every server of this API. */
export function issuerData(
  { id, name, usage }: IssuerEntry,
  publicKeyText: string,
): Record<string, unknown> {
  return { issuer_id: id, issuer_name: name, public_key: publicKeyText, ...(usage && { usage }) }
}
