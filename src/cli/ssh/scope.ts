/** Which hosts a certificate is asked for: those that the user names, else the one that ssh is about to reach. */
import type { JsonObject } from '../../client/json.ts'
import type { Session } from '../session.ts'

const NAMES = ['host', 'group', 'tag'] as const

/** What `-host`, `-group` and `-tag` say, as the request takes it; undefined when none is given. */
export function chosenScope({ input }: Session): JsonObject | undefined {
  const given = NAMES.flatMap((name) => {
    const value = input.text(name)
    return value === undefined ? [] : [[name, value] as const]
  })
  return given.length === 0 ? undefined : Object.fromEntries(given)
}

/** The same, or the host that ssh reaches: a server that knows nothing of scopes ignores that. */
export function requestScope(session: Session, hostName: string): JsonObject {
  return chosenScope(session) ?? { [LOGIN_HOST]: hostName }
}

const LOGIN_HOST = 'login_host'

/** The user asked for none of it: no warning about the field is of use to them. */
export function isAboutLoginHost(warning: string): boolean {
  return warning.includes(LOGIN_HOST)
}

/** Name of the folder where plain ssh finds the certificates of one host: unlike any user's file beside it. */
export function hostFolderName(hostName: string): string {
  return `@${hostName}`
}
