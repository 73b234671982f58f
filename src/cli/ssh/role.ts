/** Which role a session uses, and in which mode: as told, or the best of those that its token may use. */
import { ApiError } from '../../client/api-error.ts'
import { isObject, type JsonObject, textAt } from '../../client/json.ts'
import { envelopeOf, texts } from '../../client/reply.ts'
import { Failure, usageFailure } from '../failure.ts'
import { requestFailure, type Session } from '../session.ts'
import { choose } from './askpass/ask.ts'

/** In the order of preference. */
const MODES = ['ca', 'otp', 'dynamic'] as const

export type Mode = (typeof MODES)[number]

/** What a role says about extensions. */
export interface RoleTerms {
  /** `*` among them: all. */
  readonly allowed: readonly string[]
  readonly defaults: readonly string[]
  /** Whether its certificates are for chosen hosts, always or where the request says so. */
  readonly isScoped: boolean
}

export interface Choice {
  readonly role: string
  /** `creds`: a one-time password or a dynamic key, as the answer will say. */
  readonly mode: Mode | 'creds'
  readonly terms?: RoleTerms | undefined
}

interface Wish {
  readonly mount: string
  readonly role: string | undefined
  readonly mode: Mode | undefined
  /** The target's address, for `lookup`; undefined where it has none. */
  readonly address: () => Promise<string | undefined>
}

/** Throws a Failure for a mode that there is not. */
export function parseMode(text: string | undefined): Mode | undefined {
  if (text === undefined) return undefined
  const mode = MODES.find((one) => one === text)
  if (mode) return mode
  throw usageFailure(`Unknown SSH mode: ${text}`, `the modes are ${MODES.join(', ')}`)
}

/** Throws a Failure when no role fits, or several do and nobody can be asked. */
export async function chooseRole(session: Session, wish: Wish): Promise<Choice> {
  const { mount, role, mode } = wish
  if (role === undefined) return await bestRole(session, wish)
  if (mode !== undefined) return { role, mode }
  const known = await readRole(session, mount, role)
  if (known) return { role, ...known }
  const paths = { sign: `${mount}/sign/${role}`, creds: `${mount}/creds/${role}` }
  const maySign = (await usable(session, Object.values(paths))).has(paths.sign)
  return { role, mode: maySign ? 'ca' : 'creds' }
}

/** Mode and terms of a role; undefined where the token may not read it, or there is none. */
export async function readRole(
  session: Session,
  mount: string,
  role: string,
): Promise<{ mode: Mode; terms: RoleTerms } | undefined> {
  const data = await read(session, 'GET', `${mount}/roles/${role}`)
  const mode = MODES.find((one) => one === data?.['key_type'])
  if (!data || !mode) return undefined
  const defaults = data['default_extensions']
  return {
    mode,
    terms: {
      allowed: (textAt(data, 'allowed_extensions') ?? '').split(',').map((name) => name.trim()),
      defaults: isObject(defaults) ? Object.keys(defaults) : [],
      isScoped: !['off', undefined].includes(textAt(data, 'host_scope')),
    },
  }
}

async function bestRole(session: Session, { mount, mode, address }: Wish): Promise<Choice> {
  const isAny = (one: Choice['mode']) => mode === undefined || one === mode || one === 'creds'
  const found = await findRoles(session, mount, address, mode)
  const pathOf = ({ role, mode: one }: Choice) =>
    `${mount}/${one === 'ca' ? 'sign' : 'creds'}/${role}`
  const allowed = found.length === 0 ? new Set() : await usable(session, found.map(pathOf))
  const choices = found.filter((one) => isAny(one.mode) && allowed.has(pathOf(one)))
  const kind = [...MODES, 'creds' as const].find((one) =>
    choices.some((choice) => choice.mode === one),
  )
  const best = choices.filter((choice) => choice.mode === kind)
  const [first] = best
  if (!first) {
    throw usageFailure(
      `No -role specified, and none of ${mount}/ that this token may use fits`,
      session.token === undefined
        ? 'there is no token: postern login gets one'
        : 'name one with -role; -mount-point names another mount; postern login, if the token has ended',
    )
  }
  const names = best.map(({ role }) => role)
  const name = best.length === 1 ? first.role : await choose(session, 'Role', names)
  if (name !== undefined) return { role: name, mode: mode ?? first.mode }
  throw usageFailure(`No -role specified, and several fit: ${names.join(', ')}`, 'say -role=NAME')
}

/** Roles that are listed, looked up by address, or named in the token's own policies; each once. */
async function findRoles(
  session: Session,
  mount: string,
  address: Wish['address'],
  mode: Mode | undefined,
): Promise<Choice[]> {
  const [list, rules, lookedUp] = await Promise.all([
    read(session, 'GET', `${mount}/roles`, undefined, true),
    read(session, 'GET', 'sys/internal/ui/resultant-acl'),
    mode === 'ca' ? undefined : lookUp(session, mount, address),
  ])
  const modes = new Map<string, Choice['mode']>()
  for (const [role, row] of entriesOf(list?.['key_info'])) {
    const listed = MODES.find((one) => isObject(row) && one === row['key_type'])
    if (listed === 'ca' || (listed && lookedUp?.includes(role))) modes.set(role, listed)
  }
  for (const [path] of entriesOf(rules?.['exact_paths'])) {
    const [, verb, role = ''] = /^(sign|creds)\/([^/]+)$/.exec(path.slice(mount.length + 1)) ?? []
    if (!path.startsWith(`${mount}/`) || verb === undefined || modes.has(role)) continue
    const isForHost = lookedUp === undefined || lookedUp.includes(role)
    if (verb === 'sign') modes.set(role, 'ca')
    else if (isForHost && mode !== 'ca') modes.set(role, 'creds')
  }
  for (const role of lookedUp ?? []) if (!modes.has(role)) modes.set(role, 'creds')
  return [...modes].map(([role, one]) => ({ role, mode: one }))
}

async function lookUp(
  session: Session,
  mount: string,
  address: Wish['address'],
): Promise<string[] | undefined> {
  const ip = await address()
  if (ip === undefined) return undefined
  const data = await read(session, 'PUT', `${mount}/lookup`, { ip })
  return data && texts(data['roles'])
}

/** Those of the paths that the token may write to. */
async function usable(session: Session, paths: readonly string[]): Promise<Set<string>> {
  const data = await read(session, 'POST', 'sys/capabilities-self', { paths: [...paths] })
  const isUsable = (path: string) =>
    texts(data?.[path]).some((capability) => capability === 'update' || capability === 'root')
  return new Set(data ? paths.filter(isUsable) : paths)
}

/** The data of an answer; undefined where the server says that there is none, or that it is not for this token. */
async function read(
  session: Session,
  method: string,
  path: string,
  body?: JsonObject,
  isList = false,
): Promise<JsonObject | undefined> {
  const query = isList ? new Map([['list', ['true']]]) : undefined
  try {
    return envelopeOf(await session.client.send(method, path, { body, query }))?.data
  } catch (error) {
    if (error instanceof ApiError && [400, 403, 404, 405].includes(error.status)) return undefined
    const failure = requestFailure(`reading ${path}`, error, session.client.base)
    throw failure instanceof Failure ? failure : error
  }
}

function entriesOf(value: JsonObject[string] | undefined): [string, JsonObject[string]][] {
  return isObject(value) ? Object.entries(value) : []
}
