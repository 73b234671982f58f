/** An existing key pair of the user, named by one of its halves or found where ssh looks for one. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { SshFormatError } from '../../../errors.ts'
import { parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import type { PublicKey } from '../../../ssh/key/public-key.ts'
import { Failure, usageFailure } from '../../failure.ts'
import type { Session } from '../../session.ts'

/** In the family's order. */
const USUAL_NAMES = ['id_ed25519', 'id_ecdsa', 'id_rsa']

export interface KeyFiles {
  readonly privatePath: string
  readonly publicKey: PublicKey
}

/** A path that a flag names: the shell leaves a tilde behind `=` to us. */
export function pathOf({ terminal }: Session, named: string): string {
  return path.resolve(named.replace(/^~(?=\/)/, () => terminal.home))
}

/** The pair that `-private-key-path` or `-public-key-path` names; undefined when neither is given. */
export function namedKeyFiles(session: Session): KeyFiles | undefined {
  const [privatePath, publicPath] = ['private-key-path', 'public-key-path'].map((flag) => {
    const named = session.input.text(flag)
    return named === undefined ? undefined : pathOf(session, named)
  })
  if (privatePath === undefined && publicPath === undefined) return undefined
  const privateHalf = privatePath ?? publicPath?.replace(/\.pub$/, '') ?? ''
  if (privateHalf === publicPath) {
    throw usageFailure('-public-key-path names no .pub file', 'add -private-key-path')
  }
  return {
    privatePath: privateHalf,
    publicKey: readPublicKey(publicPath ?? `${privateHalf}.pub`),
  }
}

/** The first usual pair of which both halves are there. Throws a Failure when there is none. */
export function usualKeyFiles({ terminal }: Session): KeyFiles {
  for (const name of USUAL_NAMES) {
    const privatePath = path.join(terminal.home, '.ssh', name)
    const publicPath = `${privatePath}.pub`
    if (existsSync(privatePath) && existsSync(publicPath)) {
      return { privatePath, publicKey: readPublicKey(publicPath) }
    }
  }
  throw usageFailure('no key pair in ~/.ssh', 'name one with -public-key-path')
}

function readPublicKey(file: string): PublicKey {
  try {
    return parseAuthorizedKey(readFileSync(file, 'utf8').trim())
  } catch (error) {
    const reason = error instanceof SshFormatError ? error.message : 'it can not be read'
    throw new Failure(`postern: no public key in ${file}: ${reason}`)
  }
}
