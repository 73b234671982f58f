/** A new CA key, generated or imported, from the fields that config/ca and issuers/import share (contract 6.2). */
import { badRequest, refused, SshFormatError } from '../../../errors.ts'
import type { Call, ConfigView } from '../../../mount/call.ts'
import type { FieldValues } from '../../../mount/field.ts'
import { encodeAuthorizedKey, parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { type PrivateKey, parsePrivateKey } from '../../../ssh/key/private-key.ts'
import { isSameKey } from '../../../ssh/key/public-key.ts'
import type { FieldOf } from '../role/role-fields.ts'
import { isSent } from '../sent.ts'
import { type IssuerEntry, type IssuerIndex, issuerOf } from './issuers.ts'
import { chooseKey, generate, type KeyChoice } from './new-key.ts'

export type KeyFields = Readonly<
  Record<'generate_signing_key', FieldOf<'bool'>> &
    Record<'private_key' | 'public_key' | 'key_type' | 'issuer_name', FieldOf<'string'>> &
    Record<'key_bits', FieldOf<'int'>>
>

export const keyFields: KeyFields = {
  generate_signing_key: {
    type: 'bool',
    default: true,
    description: 'Makes a new key pair. Default: true when no key is given.',
  },
  private_key: {
    type: 'string',
    description: 'Private half to import: PEM without a passphrase (OpenSSH, PKCS1, SEC1, PKCS8).',
  },
  public_key: {
    type: 'string',
    description:
      'Public half to import: an authorized_keys line or its base64; given back as it is.',
  },
  key_type: {
    type: 'string',
    default: 'ssh-rsa',
    description:
      'Type of a new key: `ssh-rsa` (`rsa`), `ed25519` (`ssh-ed25519`), `ec`, `ecdsa-sha2-nistp256`, `-nistp384` or `-nistp521`.',
  },
  key_bits: {
    type: 'int',
    description: 'Size of a new key. 0: 4096 for RSA, 256 for `ec`. RSA has at least 2048.',
  },
  issuer_name: { type: 'string', description: 'Name of the issuer; only for issuers/import.' },
}

/** What a request asks for: checked, nothing generated yet. */
export type KeyRequest =
  | { readonly generate: KeyChoice }
  | { readonly key: PrivateKey; readonly publicKeyText: string }

/** Reads the fields: texts that are empty count as absent. */
export function keyRequestOf(call: Call<KeyFields>): KeyRequest {
  const { fields } = call
  const { private_key: privateText, public_key: publicText } = fields
  const hasKeys = privateText !== '' || publicText !== ''
  const isGenerated = isSent(call, 'generate_signing_key') ? fields.generate_signing_key : !hasKeys
  if (isGenerated) {
    if (hasKeys) {
      throw badRequest(
        'public_key and private_key must not be set when generate_signing_key is set to true',
      )
    }
    return { generate: choice(fields) }
  }
  if (!hasKeys) throw badRequest('missing public_key')
  if (privateText === '' || publicText === '') {
    throw badRequest(
      'only one of public_key and private_key set; both must be set to use, or both must be blank to auto-generate',
    )
  }
  return importPair(publicText, privateText)
}

function choice({ key_type: type, key_bits: bits }: FieldValues<KeyFields>): KeyChoice {
  try {
    return chooseKey(type === '' ? 'ssh-rsa' : type, bits)
  } catch (error) {
    if (error instanceof RangeError) throw refused(error.message)
    throw error
  }
}

function importPair(publicKeyText: string, privateText: string): KeyRequest {
  // Hosts fetch this text into the file of the CAs that they trust: a second line would be a second CA.
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(publicKeyText.replace(/\r?\n$/, '').replaceAll('\t', ' '))) {
    throw badRequest('could not parse public_key provided value: it is not a single line')
  }
  const publicKey = parsed('public_key', () => parseAuthorizedKey(publicKeyText))
  const key = parsed('private_key', () => parsePrivateKey(privateText))
  if (!isSameKey(publicKey, key.publicKey)) {
    throw badRequest('public_key and private_key do not belong together')
  }
  return { key, publicKeyText }
}

function parsed<T>(name: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
    throw badRequest(`could not parse ${name} provided value: ${error.message}`)
  }
}

/** The issuer that has the request's key already. */
export async function existingIssuer(
  config: ConfigView,
  { issuers }: IssuerIndex,
  request: KeyRequest,
): Promise<IssuerEntry | undefined> {
  if (!('key' in request)) return undefined
  const known = await Promise.all(issuers.map((entry) => issuerOf(config, entry)))
  return issuers[known.findIndex((one) => isSameKey(one.publicKey, request.key.publicKey))]
}

/** The key to store, with its public text. */
export async function obtainKey(
  request: KeyRequest,
): Promise<{ readonly key: PrivateKey; readonly publicKeyText: string }> {
  if ('key' in request) return request
  const key = await generate(request.generate)
  return { key, publicKeyText: `${encodeAuthorizedKey(key.publicKey.blob)}\n` }
}
