/**
 * The programs that put keys on a host and take them away (protocols 4.1 to 4.4, 4.7): POSIX sh for the standard
 * input of `sh -s`, as the admin user. A success is silent; a failure is a status and one line on standard error.
 */
import { PosternError } from '../../../../errors.ts'
import { printable } from '../../../../redact.ts'
import type { HostProgram, RemoteResult } from '../remote.ts'
import { authorizedLine, expirySeconds, type LeasedKey } from './authorized-line.ts'
import { ADMIN_PART, LOCAL_TIME, OWN_SCRIPT_PART, ROOT_PART, USER_ENTRY } from './host-parts.ts'
import { INSTALL_SCRIPT } from './install-script.ts'
import { isLoginName } from './login-name.ts'
import { shQuote } from './shell-quote.ts'

/** Whose keys, and in which file. */
export interface KeyPlace {
  /** A name as `isLoginName` takes it. */
  readonly username: string
  /** Root is named in the role itself: without it a user whose number is 0 is refused. */
  readonly mayBeRoot: boolean
  /** `~/.ssh/authorized_keys`, or `/etc/ssh/postern/keys/<user>`. */
  readonly authorizedKeys: 'user' | 'system'
  /** The role's own; empty for the built-in one. */
  readonly installScript: string
}

type Verb = 'install' | 'uninstall'

/** One program serves so many keys of one place; with a script of the role's own: one. */
export const MAX_KEYS = 500

/** Statuses as timeout(1) and the shell give them. */
const TIMED_OUT = 124
const SIGNALLED = 128

/** Since 7.7 sshd knows expiry-time, since 9.1 it reads a time in UTC there. */
const FIRST_WITH_EXPIRY = [7, 7] as const
const FIRST_WITH_UTC = [9, 1] as const

/**
 * Installs keys, or renews them: a line that holds one of the keys already gives way to the new one. All or none.
 * What it returns throws a PosternError for servers other than OpenSSH 7.7 and newer, which know no expiry-time.
 */
export function installProgram(place: KeyPlace, keys: readonly LeasedKey[]): HostProgram {
  return (serverVersion) => {
    if (!isAtLeast(serverVersion, FIRST_WITH_EXPIRY)) {
      const text = `the host runs ${printable(serverVersion) || 'an unknown SSH server'}: keys that expire need OpenSSH 7.7 or newer`
      throw new PosternError('refused', text)
    }
    return program('install', place, keys, serverVersion)
  }
}

/**
 * Removes every line that holds one of the keys; a success too when there is none. Only an own script is shown
 * the whole line: the one that was installed, when the key is the same in every field.
 */
export function uninstallProgram(place: KeyPlace, keys: readonly LeasedKey[]): HostProgram {
  return (serverVersion) => program('uninstall', place, keys, serverVersion)
}

/** Why a program failed, as one printable line without keys; undefined when it did what it should. */
export function failureOf({ status, signal, stderr }: RemoteResult): string | undefined {
  if (status === 0) return undefined
  if (status === null)
    return `the program on the host was ended by ${printable(signal ?? 'a signal')}`
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const own = lines.find((line) => line.startsWith('postern: '))
  const text = own?.slice('postern: '.length) ?? lines.at(-1) ?? ''
  // All that is base64 of SSH begins so: the length of a name.
  const shown = printable(text.replace(/AAAA[A-Za-z0-9+/]{20,}={0,2}/g, '[key]'))
  return shown === '' ? `the program on the host ended with status ${status}` : shown
}

/** Whether a failed program was ended in its midst: only then the built-in one may have done some of its work. */
export function wasCut({ status }: RemoteResult): boolean {
  return status === null || status === TIMED_OUT || status >= SIGNALLED
}

function program(
  verb: Verb,
  place: KeyPlace,
  keys: readonly LeasedKey[],
  serverVersion: string,
): string {
  const isOwnScript = place.installScript !== ''
  if (!isLoginName(place.username)) throw new TypeError('not a user name')
  if (keys.length === 0 || keys.length > (isOwnScript ? 1 : MAX_KEYS)) {
    throw new RangeError('too few or too many keys for one program')
  }
  const variables = {
    verb,
    user: place.username,
    may_be_root: place.mayBeRoot ? 'yes' : '',
    place: place.authorizedKeys,
  }
  const lines = leasedLines(keys, verb === 'install' || isOwnScript, serverVersion)
  if (isOwnScript) {
    const own = assignments({ ...variables, script: place.installScript })
    return group(own, lines, USER_ENTRY, OWN_SCRIPT_PART)
  }
  const mode = place.authorizedKeys === 'system' ? '644' : '600'
  const edit = group(
    lines,
    assignments({ POSTERN_MODE: mode }),
    `set -- ${verb} - "\${1:-$POSTERN_FILE}"\n`,
    INSTALL_SCRIPT,
  )
  const root = group(assignments({ ...variables, edit }), USER_ENTRY, ROOT_PART)
  return group(assignments({ root }), ADMIN_PART)
}

/** Sets POSTERN_LINES. An expiry in UTC is rewritten on the host when its sshd does not read it. */
function leasedLines(keys: readonly LeasedKey[], isShown: boolean, serverVersion: string): string {
  const isLocal = isShown && !isAtLeast(serverVersion, FIRST_WITH_UTC)
  const lines = keys.map((key) => {
    return isLocal ? `${expirySeconds(key)} ${authorizedLine(key)}` : authorizedLine(key)
  })
  const text = shQuote(lines.join('\n'))
  if (!isLocal) return `POSTERN_LINES=${text}\n`
  return `${LOCAL_TIME}POSTERN_LINES=$(in_local_time ${text}) || exit 1\n`
}

function assignments(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${shQuote(value)}\n`)
    .join('')
}

/** A shell runs nothing of it before it has read the whole: a program that is cut does nothing. */
function group(...parts: readonly string[]): string {
  return `{\n${parts.join('')}exit\n}\n`
}

function isAtLeast(serverVersion: string, [major, minor]: readonly [number, number]): boolean {
  const [, first, second] = /^OpenSSH_(\d+)\.(\d+)/.exec(serverVersion) ?? []
  if (first === undefined) return false
  return Number(first) > major || (Number(first) === major && Number(second) >= minor)
}
