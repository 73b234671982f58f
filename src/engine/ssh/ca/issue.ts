/** `issue/:role`: makes a key pair and signs its public half; the private half is shown once and not kept (contract 6.8). */
import { badRequest } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { encodePrivateKey } from '../../../ssh/key/private-key.ts'
import { findRole } from '../role/role.ts'
import type { FieldOf } from '../role/role-fields.ts'
import { checkIssuedLength } from './key-length.ts'
import { chooseKey, generate, type KeyChoice } from './new-key.ts'
import { certify, signingFor } from './sign.ts'
import { type IdentityOf, type TermFields, termFields, termsFor } from './terms.ts'

type IssueFields = TermFields & {
  readonly key_type: FieldOf<'string'>
  readonly key_bits: FieldOf<'int'>
}

const issueFields: IssueFields = {
  ...termFields,
  key_type: {
    type: 'string',
    default: 'rsa',
    description: 'Type of the key pair: `rsa`, `ed25519`, `ec`, or a name of OpenSSH.',
  },
  key_bits: {
    type: 'int',
    description: 'Size of the key. 0: 4096 for RSA, 256 for `ec`.',
  },
}

async function issue(call: Call<IssueFields>, identityOf: IdentityOf): Promise<Outcome> {
  const role = await findRole(call.config, call.fields.role)
  if (!role) throw badRequest(`unknown role: ${call.fields.role}`)
  if (role.keyType !== 'ca') {
    throw badRequest(`role key type '${role.keyType}' not allowed to issue key pairs`)
  }
  const type = call.fields.key_type === '' ? 'rsa' : call.fields.key_type
  checkIssuedLength(role.allowedUserKeyLengths, type, call.fields.key_bits)
  const choice = choiceOf(type, call.fields.key_bits)
  const terms = await termsFor(call, role, identityOf)
  // A refusal must not cost the making of an RSA key.
  await signingFor(call, terms)
  const { keyObject, publicKey } = await generate(choice)
  const outcome = await certify(call, terms, publicKey)
  return {
    ...outcome,
    data: {
      ...outcome.data,
      private_key: encodePrivateKey(keyObject),
      private_key_type: type,
    },
  }
}

function choiceOf(type: string, bits: number): KeyChoice {
  try {
    return chooseKey(type, bits)
  } catch (error) {
    if (error instanceof RangeError) throw badRequest(error.message)
    throw error
  }
}

export function issuePath(identityOf: IdentityOf): Path {
  return declarePath({
    pattern: 'issue/:role',
    names: { role: 'role' },
    fields: issueFields,
    operations: { update: (call) => issue(call, identityOf) },
    synopsis: 'Makes a key pair and signs it.',
    description:
      'Gives a new private key together with its certificate. The private key is not stored: it is in this answer only.',
  })
}
