/** Secrets engines and auth methods are mounted alike: what differs in words and paths (contract 8.2, 2.2). */
import { isObject, type JsonObject } from '../../../client/json.ts'
import { jsonOf } from '../../../client/reply.ts'
import type { Completed, Flag } from '../../declaration/command.ts'
import { listFlag, textFlag } from '../../declaration/flag.ts'
import type { Session } from '../../session.ts'

export interface MountKind {
  /** In front of the API's paths of a mount. */
  readonly base: 'sys/mounts' | 'sys/auth'
  readonly tuneBase: string
  readonly noun: string
  readonly plural: string
  readonly completes: Completed
}

export const SECRETS: MountKind = {
  base: 'sys/mounts',
  tuneBase: 'sys/mounts',
  noun: 'secrets engine',
  plural: 'secrets engines',
  completes: 'mount',
}

export const AUTH: MountKind = {
  base: 'sys/auth',
  tuneBase: 'sys/mounts/auth',
  noun: 'auth method',
  plural: 'auth methods',
  completes: 'auth',
}

export const pathFlag: Flag = textFlag('path', 'path', 'Where to mount; the type when absent.')

/** What `enable` and `tune` both set. */
export const settingFlags: readonly Flag[] = [
  textFlag('description', 'text', 'For people.'),
  textFlag('default-lease-ttl', 'duration', 'Default life of leases.'),
  textFlag('max-lease-ttl', 'duration', 'Longest life of leases.'),
  textFlag('listing-visibility', 'unauth|hidden', 'Who may see it.'),
  textFlag(
    'token-type',
    'default-service|default-batch|service|batch',
    'Of the tokens of a method.',
  ),
  listFlag('options', 'key=value', 'An option of the type.'),
  listFlag(
    'audit-non-hmac-request-keys',
    'key',
    'A key of requests that audit devices show in clear.',
  ),
  listFlag(
    'audit-non-hmac-response-keys',
    'key',
    'A key of responses that audit devices show in clear.',
  ),
  listFlag('passthrough-request-headers', 'name', 'A header that the backend gets to see.'),
  listFlag('allowed-response-headers', 'name', 'A header that the backend may set.'),
]

/** The settings that were given, without description, life times and options, under their names in the API. */
export function settingsOf({ input }: Pick<Session, 'input'>): JsonObject {
  const body: JsonObject = {}
  for (const flag of ['listing-visibility', 'token-type']) {
    const value = input.text(flag)
    if (value !== undefined) body[flag.replaceAll('-', '_')] = value
  }
  for (const { name, kind } of settingFlags) {
    if (kind !== 'list' || name === 'options') continue
    if (input.list(name).length > 0) body[name.replaceAll('-', '_')] = [...input.list(name)]
  }
  return body
}

/** A path as mounts are named, with one slash at its end. */
export function mountPath(word: string | undefined): string {
  return `${(word ?? '').replace(/^\/+|\/+$/g, '')}/`
}

/** The table of all mounts of a kind, by path. */
export async function readMounts(session: Session, kind: MountKind): Promise<JsonObject> {
  const reply = await session.ask(`listing ${kind.plural}`, 'GET', kind.base)
  const data = jsonOf(reply)?.['data']
  return isObject(data) ? data : {}
}
