/** How each auth method is logged in to: what it needs, and the request that it makes of it (contract 8.2, 5). */
import { readFileSync } from 'node:fs'
import { type JsonObject, textAt } from '../client/json.ts'
import { readPairs, secretKey } from './declaration/pairs.ts'
import { usageFailure } from './failure.ts'
import { warnOfSecret } from './output/output.ts'
import type { Session } from './session.ts'

interface LoginRequest {
  readonly path: string
  readonly body: JsonObject
}

interface Credentials {
  readonly session: Session
  /** Where the method is mounted, `auth/…`. */
  readonly mount: string
  readonly pairs: JsonObject
}

type Method = (credentials: Credentials) => Promise<LoginRequest>

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token'

const METHODS: ReadonlyMap<string, Method> = new Map([
  ['userpass', byPassword],
  ['ldap', byPassword],
  ['radius', byPassword],
  ['okta', byPassword],
  ['approle', byRole],
  ['jwt', byJwt],
  ['kubernetes', byServiceAccount],
])

/** All that `-method` takes, as help shows it. */
export const METHOD_NAMES: string = ['token', ...METHODS.keys()].join('|')

/** The request that logs in with `key=value` words. Throws a Failure. */
export async function loginRequest(
  session: Session,
  { method, path, words }: { method: string; path: string | undefined; words: readonly string[] },
): Promise<LoginRequest> {
  const make = METHODS.get(method)
  if (make === undefined) {
    const hint = `there is ${METHOD_NAMES.replaceAll('|', ', ')}; for others, postern write auth/PATH/login KEY=VALUE`
    throw usageFailure(`unknown auth method ${method}`, hint)
  }
  for (const word of words) {
    const key = secretKey(word)
    if (key !== undefined) {
      warnOfSecret(
        session,
        key,
        `without it, it is asked for, and ${key}=- reads it from standard input`,
      )
    }
  }
  const pairs = await readPairs(words, () => session.terminal.readInput())
  const mount = `auth/${(path ?? method).replace(/^\/+|\/+$/g, '').replace(/^auth\//, '')}`
  return await make({ session, mount, pairs })
}

/** A secret from the terminal without echo, else from standard input. Throws a Failure when it is empty. */
export async function askSecret({ terminal }: Session, what: string): Promise<string> {
  const text = terminal.isInteractive
    ? await terminal.readHidden(`${what} (will be hidden): `)
    : await terminal.readInput()
  const secret = withoutLineEnd(text)
  if (secret === '') throw usageFailure(`no ${what.toLowerCase()} given`)
  return secret
}

async function byPassword({ session, mount, pairs }: Credentials): Promise<LoginRequest> {
  const { username: named, ...others } = pairs
  const username = named ?? session.terminal.environment['LOGNAME']
  if (typeof username !== 'string' || username === '') {
    throw usageFailure('no user named', 'say username=NAME')
  }
  const password = await secretAt({ session, mount, pairs }, 'password', 'Password')
  return { path: `${mount}/login/${username}`, body: { ...others, password } }
}

async function byRole({ session, mount, pairs: given }: Credentials): Promise<LoginRequest> {
  const roleId = textAt(given, 'role_id')
  if (roleId === undefined) throw usageFailure('no role named', 'say role_id=ID')
  const pairs = { ...given, role_id: withoutLineEnd(roleId) }
  // Roles that bind no secret id want none.
  const mustAsk = !Object.hasOwn(pairs, 'secret_id') && session.terminal.isInteractive
  if (!mustAsk && !Object.hasOwn(pairs, 'secret_id')) return { path: `${mount}/login`, body: pairs }
  const secretId = await secretAt({ session, mount, pairs }, 'secret_id', 'Secret ID')
  return { path: `${mount}/login`, body: { ...pairs, secret_id: secretId } }
}

async function byJwt(credentials: Credentials): Promise<LoginRequest> {
  const jwt = await secretAt(credentials, 'jwt', 'JWT')
  return { path: `${credentials.mount}/login`, body: { ...credentials.pairs, jwt: jwt.trim() } }
}

async function byServiceAccount({ session, mount, pairs }: Credentials): Promise<LoginRequest> {
  if (textAt(pairs, 'jwt') !== undefined) return await byJwt({ session, mount, pairs })
  try {
    const jwt = readFileSync(SERVICE_ACCOUNT, 'utf8').trim()
    return { path: `${mount}/login`, body: { ...pairs, jwt } }
  } catch {
    throw usageFailure(`no JWT, and no ${SERVICE_ACCOUNT}`, 'say jwt=@FILE')
  }
}

async function secretAt(
  { session, pairs }: Credentials,
  key: string,
  what: string,
): Promise<string> {
  const given = textAt(pairs, key)
  return given === undefined ? await askSecret(session, what) : withoutLineEnd(given)
}

/** A file or an input that holds a secret ends with a line end that is not its own. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}
