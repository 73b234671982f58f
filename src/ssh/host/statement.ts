/**
 * What the server states to hosts, and signs (protocols 5.6): the bundle of one host, and which KRL is the newest. A
 * statement is a JSON text beside an armored SSHSIG over its bytes.
 */
import { SshFormatError } from '../../errors.ts'
import { isSameKey, type PublicKey } from '../key/public-key.ts'
import type { SigningKey } from '../signature.ts'
import { signMessage, verifyMessage } from '../sshsig.ts'
import { MemberReader } from './member-reader.ts'

export const STATEMENT_SECONDS: number = 24 * 60 * 60

const MAX_TEXT_LENGTH = 1_048_576

const namespaces = { bundle: 'bundle@postern', krl: 'krl@postern' } as const

interface StatementTimes {
  /** `<cluster id>/<mount path>`: see `issuerName`. */
  readonly issuer: string
  /** Never goes back. */
  readonly version: number
  /** Unix seconds, both. */
  readonly issuedAt: number
  readonly notAfter: number
}

export interface KrlStatement extends StatementTimes {
  /** Of the KRL's bytes, in lower-case hex. */
  readonly sha256: string
}

export interface BundleStatement extends StatementTimes {
  readonly hostId: string
  /** The host uses no KRL of a lower version. */
  readonly krlVersion: number
  /** Key that signs bundles and KRLs, as a line of authorized_keys without comment. */
  readonly serverKey: string
  /** The one that is going to. */
  readonly nextServerKey?: string
  /** Of scoped issuers only. */
  readonly userCas: readonly string[]
  readonly accounts: readonly string[]
  readonly groups: readonly string[]
  /** `key=value` each. */
  readonly tags: readonly string[]
  /** Whether the server signs host certificates for this host. */
  readonly hostCertificates: boolean
}

interface Statements {
  readonly bundle: BundleStatement
  readonly krl: KrlStatement
}
export type StatementKind = keyof Statements

/** As it travels. */
export interface SignedStatement {
  readonly statement: string
  readonly signature: string
}

export interface OpenStatement<Kind extends StatementKind> {
  readonly content: Statements[Kind]
  /** Which of the trusted keys has signed it. */
  readonly key: PublicKey
  /** What expired is kept with an alarm, except for what it grants. */
  readonly isExpired: boolean
}

/** How a mount is called in statements. Slashes at the ends of its path do not count. */
export function issuerName(clusterId: string, mountPath: string): string {
  return `${clusterId}/${mountPath.replace(/^\/+|\/+$/g, '')}`
}

export async function signStatement<Kind extends StatementKind>(
  kind: Kind,
  key: SigningKey,
  content: Statements[Kind],
): Promise<SignedStatement> {
  const statement = JSON.stringify(encoders[kind](content))
  const signature = await signMessage(key, namespaces[kind], Buffer.from(statement))
  return { statement, signature }
}

/**
 * The content of a statement that one of the trusted keys has signed for this purpose. Throws SshFormatError that says
 * what is wrong. For whom it is, and that its version does not go back, is the caller's to judge.
 */
export function openStatement<Kind extends StatementKind>(
  kind: Kind,
  { statement, signature }: SignedStatement,
  trustedKeys: readonly PublicKey[],
  nowSeconds: number,
): OpenStatement<Kind> {
  // A lone surrogate would be read as one text and verified as another.
  if (statement.length > MAX_TEXT_LENGTH || !statement.isWellFormed()) {
    throw new SshFormatError(`the ${kind} is too long, or not text`)
  }
  const signed = { namespace: namespaces[kind], message: Buffer.from(statement) }
  const key = verifyMessage(signature, signed)
  if (!key) throw new SshFormatError(`the ${kind}'s signature is wrong, or for something else`)
  if (!trustedKeys.some((trusted) => isSameKey(trusted, key))) {
    throw new SshFormatError(`the ${kind} is signed by an unknown key`)
  }
  const content = parsers[kind](MemberReader.ofText(statement, kind))
  return { content, key, isExpired: content.notAfter <= nowSeconds }
}

type Members = Readonly<Record<string, unknown>>

const encoders: { readonly [Kind in StatementKind]: (content: Statements[Kind]) => Members } = {
  bundle: (bundle) => ({
    ...encodeTimes(bundle),
    host_id: bundle.hostId,
    krl_version: bundle.krlVersion,
    server_key: bundle.serverKey,
    next_server_key: bundle.nextServerKey,
    user_cas: bundle.userCas,
    accounts: bundle.accounts,
    groups: bundle.groups,
    tags: bundle.tags,
    host_certificates: bundle.hostCertificates,
    grants: {},
  }),
  krl: (krl) => ({ ...encodeTimes(krl), sha256: krl.sha256 }),
}

function encodeTimes({ issuer, version, issuedAt, notAfter }: StatementTimes): Members {
  return { issuer, version, issued_at: issuedAt, not_after: notAfter }
}

const parsers: { readonly [Kind in StatementKind]: (members: MemberReader) => Statements[Kind] } = {
  bundle: (members) => {
    const next = members.optionalText('next_server_key')
    return {
      ...parseTimes(members),
      hostId: members.text('host_id'),
      krlVersion: members.integer('krl_version'),
      serverKey: members.text('server_key'),
      ...(next === undefined ? {} : { nextServerKey: next }),
      userCas: members.texts('user_cas'),
      accounts: members.texts('accounts'),
      groups: members.texts('groups'),
      tags: members.texts('tags'),
      hostCertificates: members.boolean('host_certificates'),
    }
  },
  krl: (members) => ({
    ...parseTimes(members),
    sha256: members.text('sha256', /^[0-9a-f]{64}$/),
  }),
}

function parseTimes(members: MemberReader): StatementTimes {
  const times = {
    issuer: members.text('issuer'),
    version: members.integer('version'),
    issuedAt: members.integer('issued_at'),
    notAfter: members.integer('not_after'),
  }
  if (times.notAfter < times.issuedAt) throw members.refusal('not_after', 'is before issued_at')
  return times
}
