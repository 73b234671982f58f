/**
 * What sshd makes of its configuration for a connection, by `sshd -T -C` (protocols 5.3): a Match block shows for
 * whom it matches only, so that every account and every criterion has to be tried.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { hostPaths } from '../paths.ts'
import type { Account } from './account.ts'
import type { Directive } from './directive.ts'

/** Whom and where sshd takes a connection to be from. */
export interface Connection {
  readonly user: string
  readonly host: string
  readonly addr: string
  readonly laddr: string
  readonly lport: string
}

/** A setting of ours that is another for some connections. */
export interface Deviation {
  readonly keyword: string
  readonly wanted: string
  readonly found: string
  readonly users: readonly string[]
}

type Place = Omit<Connection, 'user'>

const PLACE: Place = { host: 'client.invalid', addr: '192.0.2.1', laddr: '127.0.0.1', lport: '22' }

const CRITERIA = new Map<string, keyof Place>([
  ['host', 'host'],
  ['address', 'addr'],
  ['localaddress', 'laddr'],
  ['localport', 'lport'],
])

const AT_ONCE = 8

const run = promisify(execFile)

/** Settings by keyword in lower case; one that may be given several times has several values. */
async function effectiveSettings(
  config: string,
  connection: Connection,
): Promise<Map<string, string[]>> {
  const place = Object.entries(connection).map(([key, value]) => `${key}=${value}`)
  const { stdout } = await run(hostPaths.sshd, ['-T', '-C', place.join(','), '-f', config])
  const settings = new Map<string, string[]>()
  for (const line of stdout.trimEnd().split('\n')) {
    const [, keyword = '', value = ''] = /^(\S+) ?(.*)$/.exec(line) ?? []
    // Lower case in the versions before 10.4, as in the manual after them.
    const name = keyword.toLowerCase()
    settings.set(name, [...(settings.get(name) ?? []), value])
  }
  // Those later versions do not say so; where nothing is set they name their default files.
  if (!settings.has('authorizedkeysfile')) settings.set('authorizedkeysfile', ['none'])
  return settings
}

/** The settings for somebody from anywhere. */
export function generalSettings(config: string, user = 'root'): Promise<Map<string, string[]>> {
  return effectiveSettings(config, { user, ...PLACE })
}

/**
 * One connection of every account with a shell for each place that a Match block is about. Where one is about users or
 * groups, of every account: some need no shell, for sftp.
 */
export function connectionsToTry(
  directives: readonly Directive[],
  accounts: readonly Pick<Account, 'name' | 'hasShell'>[],
): Connection[] {
  const places = new Map([[JSON.stringify(PLACE), PLACE]])
  const isAboutUsers = directives.some(({ match }) => /\b(user|group)\b/i.test(match ?? ''))
  const tried = accounts.filter(({ hasShell }) => hasShell || isAboutUsers)
  const names = new Set(tried.map(({ name }) => name))
  for (const { match } of directives.filter(({ keyword }) => keyword === 'match')) {
    const words = (match ?? '').replaceAll('"', '').split(/[\s=]+/)
    const place = { ...PLACE }
    for (const [index, word] of words.entries()) {
      const pattern = (words[index + 1] ?? '').split(',').find((part) => /^[^!]/.test(part))
      const criterion = CRITERIA.get(word.toLowerCase())
      if (pattern === undefined) continue
      if (criterion) place[criterion] = sampleOf(criterion, pattern)
      if (word.toLowerCase() === 'user') names.add(pattern.replace(/[*?]/g, 'x'))
    }
    places.set(JSON.stringify(place), place)
  }
  return [...places.values()].flatMap((place) => [...names].map((user) => ({ user, ...place })))
}

/** A value that the pattern matches. */
function sampleOf(criterion: keyof Place, pattern: string): string {
  if (criterion !== 'addr' && criterion !== 'laddr') return pattern.replace(/[*?]/g, 'x')
  const address = pattern.replace(/\/.*$/, '').replace(/[*?]/g, '1')
  const parts = address.split('.')
  return address.includes(':') ? address : [...parts, '1', '1', '1'].slice(0, 4).join('.')
}

/** Where the settings are not what they have to be, for any of the connections. */
export async function deviations(
  config: string,
  wanted: readonly (readonly [keyword: string, value: string])[],
  connections: readonly Connection[],
): Promise<Deviation[]> {
  const found = new Map<string, Deviation>()
  for (let at = 0; at < connections.length; at += AT_ONCE) {
    const some = connections.slice(at, at + AT_ONCE)
    const all = await Promise.all(some.map((connection) => effectiveSettings(config, connection)))
    for (const [index, settings] of all.entries()) {
      const user = some[index]?.user ?? ''
      for (const [keyword, value] of wanted) {
        const values = settings.get(keyword.toLowerCase()) ?? []
        if (values.includes(value)) continue
        const text = values.join(', ') || 'not set'
        const key = `${keyword}\n${text}`
        const users = new Set([...(found.get(key)?.users ?? []), user])
        found.set(key, { keyword, wanted: value, found: text, users: [...users] })
      }
    }
  }
  return [...found.values()]
}

/** Lines in Match blocks that set one of ours to something else. */
export function matchConflicts(
  directives: readonly Directive[],
  wanted: readonly (readonly [keyword: string, value: string])[],
): Directive[] {
  const ours = new Map(wanted.map(([keyword, value]) => [keyword.toLowerCase(), value]))
  return directives.filter(
    ({ keyword, value, match }) =>
      match !== undefined && ours.has(keyword) && ours.get(keyword) !== value,
  )
}
