/** Secrets that stand where none belongs (protocols 2.4): how they are recognised, and hashed in texts. */

/** Longer names are no names of fields. */
const MAX_NAME = 32

const MIN_TOKEN = 24
const UUID_CHARACTERS = 36

/** Tokens as this server and others of its family make them, anywhere in a text. */
const TOKEN =
  /(?<![0-9A-Za-z])(?:[sbr]\.[0-9A-Za-z]{24}|hv[sbr]\.[0-9A-Za-z_-]{20})[0-9A-Za-z._-]*/g
/** One-time passwords, and tokens of the first servers. */
const UUID = /[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}/g

type Hash = (text: string) => string

/** Whether a text holds what looks like a token. */
export function holdsToken(text: string): boolean {
  return text.length >= MIN_TOKEN && text.search(TOKEN) >= 0
}

/** Whether a text holds what looks like a token or a one-time password. */
export function holdsCredential(text: string): boolean {
  return holdsToken(text) || (text.length >= UUID_CHARACTERS && text.search(UUID) >= 0)
}

/** Whether a text is, as a whole, shaped like a one-time password. */
export function isShapedAsPassword(text: string): boolean {
  return text.length === UUID_CHARACTERS && text.search(UUID) === 0
}

/** Whether the name of an undeclared field may be a secret that was sent as a name. */
export function isDoubtfulName(name: string): boolean {
  return name.length > MAX_NAME || holdsCredential(name)
}

/** The path with its secret parts hashed, and whatever looks like a token. */
export function hidePathParts(path: string, secretParts: readonly string[], hash: Hash): string {
  let shown = path
  for (const part of secretParts) {
    if (part === '') continue
    // A part with slashes is the rest of the path; others are whole segments of it.
    shown = part.includes('/')
      ? shown.replaceAll(part, () => hash(part))
      : shown
          .split('/')
          .map((segment) => (segment === part ? hash(part) : segment))
          .join('/')
  }
  return shown.replaceAll(TOKEN, hash)
}

/** Sentences for people with these secrets, and all that looks like a token or a one-time password, hashed. */
export function hideInText(text: string, secrets: readonly string[], hash: Hash): string {
  let shown = text
  for (const secret of secrets) {
    shown = shown.replaceAll(secret, () => hash(secret))
    const quoted = JSON.stringify(secret).slice(1, -1)
    if (quoted !== secret) shown = shown.replaceAll(quoted, () => hash(secret))
  }
  return shown.replaceAll(TOKEN, hash).replaceAll(UUID, hash)
}
