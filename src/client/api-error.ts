/** What can go wrong between a client and the server: an answer that refuses, or no answer at all. */

/** The server answered with an error status. `messages` is its `errors` list; the text is the family's. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly method: string
  readonly url: string
  readonly status: number
  readonly messages: readonly string[]
  /** The whole answer: a 404 may carry data or warnings. */
  readonly body: string

  constructor(request: { method: string; url: string }, status: number, body: string) {
    const messages = messagesOf(body)
    super(describe(request, status, messages, body))
    this.method = request.method
    this.url = request.url
    this.status = status
    this.messages = messages
    this.body = body
  }
}

/** No usable answer: refused connection, failed TLS, timeout, an answer cut short or too large. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  /** Node's code (`ECONNREFUSED`), where there is one. */
  readonly code: string | undefined

  constructor(request: { method: string; url: string }, cause: unknown) {
    const error = cause as { code?: unknown; message?: unknown }
    // A connection tried on several addresses fails with an empty message and a list of causes.
    const reason = error.message || error.code || 'no answer'
    super(`${titleCase(request.method)} ${JSON.stringify(request.url)}: ${reason}`, { cause })
    this.code = typeof error.code === 'string' ? error.code : undefined
  }
}

function titleCase(method: string): string {
  return method.slice(0, 1) + method.slice(1).toLowerCase()
}

function messagesOf(body: string): string[] {
  try {
    const errors: unknown = JSON.parse(body)?.errors
    return Array.isArray(errors) ? errors.filter((text) => typeof text === 'string') : []
  } catch {
    return []
  }
}

function describe(
  { method, url }: { method: string; url: string },
  status: number,
  messages: readonly string[],
  body: string,
): string {
  const head = `Error making API request.\n\nURL: ${method} ${url}\nCode: ${status}.`
  if (messages.length > 0) {
    return `${head} Errors:\n\n${messages.map((text) => `* ${text}`).join('\n')}`
  }
  const isList = /^\s*\{\s*"errors"/.test(body)
  // Somebody else's page, a proxy's for example: its beginning says whose.
  return body === '' || isList
    ? `${head} Errors:\n`
    : `${head} Raw Message:\n\n${body.slice(0, 512)}`
}
