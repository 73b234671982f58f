/**
 * Asks for a user certificate (contract 6.8) with no more extensions than the role allows and the session needs:
 * with the role's own when these do, so that a role need not be readable.
 */
import type { Json, JsonObject } from '../../../client/json.ts'
import { isObject, textAt } from '../../../client/json.ts'
import { envelopeOf, type Reply } from '../../../client/reply.ts'
import { decodeBase64 } from '../../../ssh/base64.ts'
import { type Certificate, parseCertificate } from '../../../ssh/certificate/certificate.ts'
import { encodeAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { isSameKey, type PublicKey } from '../../../ssh/key/public-key.ts'
import { Failure } from '../../failure.ts'
import { warn } from '../../output/output.ts'
import { type Session, UNWRAPPED } from '../../session.ts'
import { type RoleTerms, readRole } from '../role.ts'
import { isAboutLoginHost } from '../scope.ts'

export interface Request {
  readonly mount: string
  readonly role: string
  readonly publicKey: PublicKey
  readonly principals: string
  /** Extensions that the session can't do without. */
  readonly needs: readonly string[]
  /** Of the role, where it was read already. */
  readonly terms?: RoleTerms | undefined
  /** Asked for as they are; then neither needs nor terms count. */
  readonly extensions?: readonly string[] | undefined
  /** Fields that say for which hosts. */
  readonly scope?: JsonObject | undefined
}

export interface Signed {
  readonly certificate: Certificate
  /** `type base64` and a line end. */
  readonly line: string
  readonly reply: Reply
}

/** Throws a Failure when the server refuses, or answers with a certificate for something else. */
export async function requestCertificate(session: Session, request: Request): Promise<Signed> {
  if (request.extensions) return await sign(session, request, request.extensions)
  if (request.terms)
    return await sign(session, request, wantedExtensions(request.needs, request.terms))
  const signed = await sign(session, request)
  const missing = request.needs.filter((name) => !signed.certificate.extensions.has(name))
  if (missing.length === 0) return signed
  const terms = (await readRole(session, request.mount, request.role))?.terms
  const wanted = terms && wantedExtensions(request.needs, terms)
  return wanted ? await sign(session, request, wanted) : signed
}

/** What to name in a request; undefined where the role's defaults are as good. */
export function wantedExtensions(
  needs: readonly string[],
  { allowed, defaults }: Pick<RoleTerms, 'allowed' | 'defaults'>,
): string[] | undefined {
  const isAllowed = (name: string) => allowed.includes('*') || allowed.includes(name)
  const missing = needs.filter((name) => !defaults.includes(name))
  if (!missing.some(isAllowed)) return undefined
  // What is named replaces the defaults.
  return [...new Set([...defaults, ...missing])].filter(isAllowed)
}

async function sign(
  session: Session,
  { mount, role, publicKey, principals, scope }: Request,
  extensions?: readonly string[],
): Promise<Signed> {
  const path = `${mount}/sign/${role}`
  const reply = await session.ask(`signing the key with ${path}`, 'PUT', path, {
    ...UNWRAPPED,
    body: {
      public_key: encodeAuthorizedKey(publicKey.blob),
      valid_principals: principals,
      cert_type: 'user',
      ...scope,
      ...(extensions && { extensions: Object.fromEntries(extensions.map((name) => [name, ''])) }),
    },
  })
  for (const text of envelopeOf(reply)?.warnings ?? []) {
    if (!isAboutLoginHost(text)) warn(session, text)
  }
  const certificate = parseSigned(envelopeOf(reply)?.data)
  if (!certificate || !isSameKey(certificate.subject, publicKey) || certificate.type !== 'user') {
    throw new Failure(`postern: ${path} answered with no certificate for the key`, { status: 2 })
  }
  return { certificate, line: `${encodeAuthorizedKey(certificate.blob)}\n`, reply }
}

function parseSigned(data: Json | undefined): Certificate | undefined {
  return isObject(data) ? parseCertificateLine(textAt(data, 'signed_key') ?? '') : undefined
}

/** The certificate of a line `type base64 …`; undefined for other text. */
export function parseCertificateLine(line: string): Certificate | undefined {
  try {
    return parseCertificate(decodeBase64(line.trim().split(' ')[1] ?? ''))
  } catch {
    return undefined
  }
}
