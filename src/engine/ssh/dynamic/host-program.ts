/**
 * The programs that put keys on a host and take them away (protocols 4.1 to 4.4, 4.7): POSIX sh for the standard
 * input of `sh -s`, as the admin user. A success is silent; a failure is a status and one line on standard error.
 */
import { PosternError } from '../../../errors.ts'
import { authorizedLine, expirySeconds, type LeasedKey } from './authorized-line.ts'
import type { HostProgram, RemoteResult } from './remote.ts'

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

/** One program serves so many keys of one place; with a script of the role's own: one. */
export const MAX_KEYS = 500

/**
 * Installs keys, or renews them: a line that holds one of the keys already gives way to the new one. All or none.
 * What it returns throws a PosternError for servers other than OpenSSH 7.7 and newer, which know no expiry-time.
 */
export function installProgram(place: KeyPlace, keys: readonly LeasedKey[]): HostProgram {
  throw new Error(`${place} ${keys} ${authorizedLine} ${expirySeconds} ${PosternError}`)
}

/**
 * Removes every line that holds one of the keys; a success too when there is none. Only an own script is shown
 * the whole line: the one that was installed, when the key is the same in every field.
 */
export function uninstallProgram(place: KeyPlace, keys: readonly LeasedKey[]): HostProgram {
  throw new Error(`${place} ${keys}`)
}

/** Why a program failed, as one printable line without keys; undefined when it did what it should. */
export function failureOf(result: RemoteResult): string | undefined {
  throw new Error(`${result}`)
}
