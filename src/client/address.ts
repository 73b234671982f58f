/** A server's address: `http://`, `https://` (a path prefix is allowed) or `unix:///run/postern.sock`. */

export interface Address {
  readonly isTls: boolean
  /** What precedes `/v1/` in texts shown to people. */
  readonly base: string
  readonly host: string
  readonly port: number
  /** Instead of host and port. */
  readonly socketPath: string | undefined
  /** Without a trailing slash; mostly empty. */
  readonly prefix: string
}

/** Throws a TypeError that says what is wrong with the text. */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix://')) {
    const socketPath = text.slice('unix://'.length)
    if (!socketPath.startsWith('/')) throw new TypeError(`no absolute socket path in ${text}`)
    const base = 'http://localhost'
    return { isTls: false, base, host: 'localhost', port: 80, socketPath, prefix: '' }
  }
  const url = URL.parse(text)
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new TypeError(
      `not an address: ${text === '' ? '(empty)' : text}; it has to begin with http://, https:// or unix://`,
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('an address holds no user name or password')
  }
  const isTls = url.protocol === 'https:'
  const prefix = url.pathname.replace(/\/+$/, '')
  return {
    isTls,
    base: url.origin + prefix,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    socketPath: undefined,
    prefix,
  }
}

/** Whether requests to this address stay on this machine. */
export function isLoopback({ host, socketPath }: Address): boolean {
  return socketPath !== undefined || host === 'localhost' || host === '::1' || /^127\./.test(host)
}
