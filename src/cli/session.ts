/** One run of a command: what was typed, the client made from flags and environment, and requests in its words. */
import { ApiError, TransportError } from '../client/api-error.ts'
import { Client, type RequestOptions, type RequestPreview } from '../client/client.ts'
import { type ClientEnvironment, readEnvironment } from '../client/environment.ts'
import type { Reply } from '../client/reply.ts'
import type { ClientTls } from '../client/tls.ts'
import { version } from '../client/version.ts'
import { formatDuration, parseDuration } from '../duration.ts'
import { Secret } from '../redact.ts'
import { curlLine } from './curl.ts'
import type { Input } from './declaration/command.ts'
import { Failure, Shown, usageFailure } from './failure.ts'
import type { Terminal } from './output/terminal.ts'
import { readStoredToken } from './token-store.ts'

export type Format = 'table' | 'json' | 'yaml' | 'raw'

const FORMATS = new Map<string, Format>([
  ['table', 'table'],
  ['pretty', 'table'],
  ['json', 'json'],
  ['yaml', 'yaml'],
  ['yml', 'yaml'],
  ['raw', 'raw'],
])

const DEFAULT_WRAP_TTL = '300'
/** For an answer that the command itself has use for, whatever the environment says of wrapping. */
export const UNWRAPPED = { wrapTtl: '' } as const

export class Session {
  readonly terminal: Terminal
  readonly input: Input
  readonly format: Format
  /** The token that requests carry, if any. */
  readonly token: Secret | undefined
  readonly client: Client
  readonly #wrapTtl: string | undefined

  private constructor(
    terminal: Terminal,
    input: Input,
    environment: ClientEnvironment,
    token: Secret | undefined,
  ) {
    this.terminal = terminal
    this.input = input
    this.format = formatOf(input.text('format') ?? environment.format ?? 'table')
    this.token = token
    this.#wrapTtl = wrapTtlOf(input.text('wrap-ttl') ?? environment.wrapTtl)
    this.client = settled(() => makeClient(input, environment, token))
  }

  /** Throws a Failure for settings that can't be read. */
  static async open(terminal: Terminal, input: Input): Promise<Session> {
    const environment = settled(() => readEnvironment(terminal.environment))
    const token = tokenOf(environment.token ?? (await readStoredToken(terminal)))
    return new Session(terminal, input, environment, token)
  }

  /**
   * Sends a request; `doing` stands in the error text (`Error reading ssh/roles/a: …`). Throws a Failure
   * with exit status 2.
   */
  async ask(
    doing: string,
    method: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<Reply> {
    try {
      return await this.client.send(method, path, { wrapTtl: this.#wrapTtlOf(path), ...options })
    } catch (error) {
      throw requestFailure(doing, error, this.client.base)
    }
  }

  /** Data of one's own is wrapped for five minutes where nobody says for how long, as other clients do it. */
  #wrapTtlOf(path: string): string | undefined {
    return this.#wrapTtl ?? (path === 'sys/wrapping/wrap' ? DEFAULT_WRAP_TTL : undefined)
  }

  /** The same, but undefined for a 404 that holds nothing to show. */
  async askMaybe(
    doing: string,
    method: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<Reply | undefined> {
    try {
      return await this.client.send(method, path, { wrapTtl: this.#wrapTtl, ...options })
    } catch (error) {
      if (error instanceof ApiError && error.status === 404 && error.messages.length === 0) {
        const { body } = error
        const holdsSomething = /"(data|warnings)"\s*:\s*[[{]/.test(body)
        return holdsSomething
          ? { status: 404, contentType: 'application/json', text: body }
          : undefined
      }
      throw requestFailure(doing, error, this.client.base)
    }
  }
}

/** The text and exit status for a failed request. */
export function requestFailure(doing: string, error: unknown, address: string): Error {
  if (error instanceof ApiError) {
    return new Failure(`Error ${doing}: ${error.message}`, { status: 2, hint: apiHint(error) })
  }
  if (error instanceof TransportError) {
    const hint = connectionHint(error, address)
    return new Failure(`Error ${doing}: ${error.message}`, { status: 2, hint })
  }
  if (error instanceof TypeError) return usageFailure(error.message)
  return error as Error
}

function apiHint({ status, messages, url }: ApiError): string | undefined {
  const says = (text: string) => messages.some((message) => message.includes(text))
  if (status === 403 && !/\/login(\/|$)|lookup-self$|\/unwrap$/.test(url)) {
    const path = url.replace(/^.*?\/v1\//, '').replace(/\?.*$/, '')
    return `postern token capabilities ${path} tells what your token may do, postern login gets another`
  }
  if (status === 503 && says('sealed')) return 'postern operator unseal'
  return says('not initialized') ? 'postern operator init' : undefined
}

function connectionHint(error: TransportError, address: string): string | undefined {
  if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') {
    return `nobody answers at ${address}; -address or POSTERN_ADDR names another server`
  }
  if (error.code === 'ERR_SSL_WRONG_VERSION_NUMBER' || error.code === 'EPROTO') {
    return `the server seems to speak plain HTTP; try -address=${address.replace('https:', 'http:')}`
  }
  if (error.code?.includes('CERT') || error.code?.includes('SIGNATURE')) {
    return "-ca-cert or POSTERN_CACERT names the CA of the server's certificate"
  }
  return undefined
}

function makeClient(
  input: Input,
  environment: ClientEnvironment,
  token: Secret | undefined,
): Client {
  const { tls: fromEnvironment } = environment
  const tls: ClientTls = {
    caText: input.text('ca-cert') ? undefined : fromEnvironment.caText,
    caFile: input.text('ca-cert') ?? fromEnvironment.caFile,
    caFolder: input.text('ca-path') ?? fromEnvironment.caFolder,
    certificateFile: input.text('client-cert') ?? fromEnvironment.certificateFile,
    keyFile: input.text('client-key') ?? fromEnvironment.keyFile,
    serverName: input.text('tls-server-name') ?? fromEnvironment.serverName,
    skipsVerify: input.bool('tls-skip-verify') ?? fromEnvironment.skipsVerify,
  }
  const mustShow = input.bool('output-curl-string') === true
  return new Client({
    address: input.text('agent-address') ?? input.text('address') ?? environment.address,
    token,
    namespace: input.text('namespace') ?? environment.namespace,
    timeoutMilliseconds: environment.timeoutMilliseconds,
    maxRetries: environment.maxRetries,
    followsRedirects: !(input.bool('disable-redirects') ?? !environment.followsRedirects),
    proxy: environment.proxy,
    userAgent: `postern/${version}`,
    tls,
    onRequest: mustShow ? (request) => showRequest(request, tls) : undefined,
  })
}

/** In the place of the request. */
function showRequest(request: RequestPreview, tls: ClientTls): never {
  throw new Shown(curlLine(request, tls))
}

function settled<Value>(read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (error instanceof TypeError) throw usageFailure(error.message)
    throw error
  }
}

function formatOf(text: string): Format {
  const format = FORMATS.get(text.toLowerCase())
  if (format) return format
  throw usageFailure(`unknown format ${text}`, 'the formats are table, json, yaml and raw')
}

function tokenOf(text: string | undefined): Secret | undefined {
  if (!text) return undefined
  // Node would refuse it later, in words that do not say what is wrong.
  if (/[^\x21-\x7e]/.test(text)) throw usageFailure('the token holds blanks or control characters')
  return new Secret(text)
}

function wrapTtlOf(text: string | undefined): string | undefined {
  if (!text) return undefined
  try {
    // Rounded up: a wrap of 0 s would be none.
    return formatDuration(Math.ceil(parseDuration(text)))
  } catch {
    throw usageFailure(`not a duration: ${text}`, 'write -wrap-ttl=5m or a number of seconds')
  }
}
