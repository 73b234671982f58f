/** `sign/:role`: signs the caller's public key (contract 6.8). Issue ends in the same signing. */
import { badRequest, SshFormatError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { pooledBytes } from '../../../random.ts'
import { signCertificate } from '../../../ssh/certificate/certificate.ts'
import { encodeAuthorizedKey, parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { hexFingerprint } from '../../../ssh/key/fingerprint.ts'
import type { PublicKey } from '../../../ssh/key/public-key.ts'
import { signingKey } from '../../../ssh/signature.ts'
import { recordCertificate } from '../inventory/inventory.ts'
import type { CertificateScope } from '../inventory/record.ts'
import { newSerial } from '../inventory/serial.ts'
import { findRole } from '../role/role.ts'
import type { FieldOf } from '../role/role-fields.ts'
import { principalsOf } from '../scope/scoped-principals.ts'
import { type Issuer, type IssuerEntry, issuerIndex, issuerOf, signingIssuer } from './issuers.ts'
import { formatKeyId } from './key-id.ts'
import { checkKeyLength } from './key-length.ts'
import { type IdentityOf, type TermFields, type Terms, termFields, termsFor } from './terms.ts'

/** Who signs, and which principals. */
interface Signing {
  readonly entry: IssuerEntry
  readonly issuer: Issuer
  readonly principals: readonly string[]
}

/**
 * The last check before the signature: an issuer of the kind that the terms need, and its principals (protocols 5.1). Only
 * an issuer that is scoped meets principals with a scope, and only such principals meet it.
 */
export async function signingFor(call: Call, { role, accounts, scope }: Terms): Promise<Signing> {
  const usage = scope ? 'scoped' : 'bare'
  const entry = signingIssuer(await issuerIndex(call.config), role.issuerRef, usage)
  const principals = principalsOf(accounts, scope)
  return { entry, issuer: await issuerOf(call.config, entry), principals }
}

/** Signs a certificate for `subject`, records it and shows it: the engine signs certificates here and nowhere else. */
export async function certify(call: Call, terms: Terms, subject: PublicKey): Promise<Outcome> {
  const { role, roleName, warnings, accounts: _, scope, ownHost, conditions, ...fields } = terms
  const { entry, issuer, principals } = await signingFor(call, terms)
  const serial = newSerial(call.now)
  const values = {
    tokenDisplayName: call.caller?.displayName ?? '',
    roleName,
    publicKeyHash: hexFingerprint(subject.blob),
  }
  const algorithm = role.algorithmSigner === 'default' ? undefined : role.algorithmSigner
  const keyId = terms.keyId === '' ? formatKeyId(role.keyIdFormat, values) : terms.keyId
  // Where nothing is stored, no commit refuses: this is the last look at a token revoked meanwhile.
  await call.stillAllowed()
  const blob = await orBadRequest(() =>
    signCertificate(signingKey(issuer, algorithm), {
      ...fields,
      principals,
      subject,
      serial,
      nonce: pooledBytes(NONCE_BYTES),
      keyId,
      allowEmptyPrincipals: role.allowEmptyPrincipals,
    }),
  )
  const signed = { ...fields, serial, issuerId: entry.id, keyId, role: roleName, subject }
  const hosts = scope ?? (ownHost === undefined ? undefined : onlyHost(ownHost))
  const recorded = !role.noStore && recordCertificate(call, { ...signed, principals, scope: hosts })
  return {
    ...(recorded && { ...recorded, conditions: [...conditions, ...(recorded.conditions ?? [])] }),
    data: {
      issuer_id: entry.id,
      serial_number: serial.toString(16),
      signed_key: `${encodeAuthorizedKey(blob)}\n`,
    },
    ...(warnings.length > 0 && { warnings }),
  }
}

/** As the inventory finds a host's own certificate: by the host. */
function onlyHost(id: string): CertificateScope {
  return { hosts: [id], groups: [], tags: [] }
}

/** PROTOCOL.certkeys leaves the length open; OpenSSH makes 32. */
const NONCE_BYTES = 32

/** What the format refuses came from the request or the role. */
async function orBadRequest<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof SshFormatError) throw badRequest(error.message)
    throw error
  }
}

type SignFields = TermFields & { readonly public_key: FieldOf<'string'> }

const signFields: SignFields = {
  ...termFields,
  public_key: {
    type: 'string',
    description: 'Public key to sign: an authorized_keys line, or its base64. Required.',
  },
}

async function sign(call: Call<SignFields>, identityOf: IdentityOf): Promise<Outcome> {
  const role = await findRole(call.config, call.fields.role)
  if (!role) throw badRequest(`Unknown role: ${call.fields.role}`)
  const subject = subjectOf(call.fields.public_key)
  if (role.keyType === 'ca') checkKeyLength(role.allowedUserKeyLengths, subject)
  return certify(call, await termsFor(call, role, identityOf), subject)
}

function subjectOf(text: string): PublicKey {
  if (text === '') throw badRequest('missing public_key')
  try {
    return parseAuthorizedKey(text)
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
    throw badRequest(`failed to parse public_key as SSH key: ${error.message}`)
  }
}

export function signPath(identityOf: IdentityOf): Path {
  return declarePath({
    pattern: 'sign/:role',
    names: { role: 'role' },
    fields: signFields,
    operations: { update: (call) => sign(call, identityOf) },
    synopsis: 'Signs a public key.',
    description:
      'Gives an OpenSSH certificate for the key, for the principals, the time and with the options that the role allows. Hosts that trust the public key ' +
      'of the issuer accept it until it ends.',
  })
}
