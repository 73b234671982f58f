/** Names of users on hosts (protocols 4.2). */

// Begins with a letter: `getent passwd 0` is root.
const LOGIN_NAME = /^[a-z_][a-z0-9_.-]{0,31}\$?$/

/** Whether the name may be looked up on a host: no number, path, option or pattern. */
export function isLoginName(name: string): boolean {
  return LOGIN_NAME.test(name)
}
