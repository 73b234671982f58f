/**
 * Principals that say where they are good: `account@h.<host id>`, `account@g.<group>`, `account@t.<key>.<value>`
 * (protocols 5.1 and 5.2). Each has an `@`, so that a host that nobody set up accepts none.
 */

const ACCOUNT = /^[a-z_][a-z0-9_.-]{0,31}$/
const HOST_ID = /^[a-z0-9][a-z0-9.-]{0,62}$/
const TAG_KEY = /^[a-z0-9_-]{1,32}$/
const TAG_VALUE = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** An account on a host that a scoped name can be made for. */
export function isAccount(text: string): boolean {
  return ACCOUNT.test(text)
}

export function isHostId(text: string): boolean {
  return HOST_ID.test(text)
}

export function isGroup(text: string): boolean {
  return HOST_ID.test(text)
}

/** Without a dot: the first one in the name ends the key, whatever the value holds. */
export function isTagKey(text: string): boolean {
  return TAG_KEY.test(text)
}

export function isTagValue(text: string): boolean {
  return TAG_VALUE.test(text)
}

/** Whether a text could be read as a scoped name: what a plain issuer never signs. */
export function isScopedLooking(text: string): boolean {
  return /@(?:h|g|t|u|bg)\./i.test(text)
}

/** Good on one host. Throws a RangeError for parts that have not the form. */
export function hostPrincipal(account: string, id: string): string {
  return `${checked(account, isAccount)}@h.${checked(id, isHostId)}`
}

/** Good on each host of a group. */
export function groupPrincipal(account: string, group: string): string {
  return `${checked(account, isAccount)}@g.${checked(group, isGroup)}`
}

/** Good on each host with a tag. */
export function tagPrincipal(account: string, key: string, value: string): string {
  return `${checked(account, isAccount)}@t.${checked(key, isTagKey)}.${checked(value, isTagValue)}`
}

function checked(text: string, isRight: (text: string) => boolean): string {
  if (isRight(text)) return text
  throw new RangeError(`${JSON.stringify(text.slice(0, 80))} can't be part of a scoped name`)
}
