/**
 * Settings from the environment (contract 8.1): `POSTERN_X` wins over `BAO_X`, and that over `VAULT_X`.
 * An empty variable counts as absent.
 */
import { parseDuration } from '../duration.ts'
import type { ClientTls } from './tls.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const PREFIXES = ['POSTERN', 'BAO', 'VAULT']

const DEFAULT_ADDRESS = 'https://127.0.0.1:8200'

/** The value and the full name of the variable that gives it. */
export function lookUpVariable(
  environment: Environment,
  name: string,
): { name: string; value: string } | undefined {
  for (const prefix of PREFIXES) {
    const value = environment[`${prefix}_${name}`]
    if (value) return { name: `${prefix}_${name}`, value }
  }
  return undefined
}

export interface ClientEnvironment {
  readonly address: string
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  readonly namespace: string | undefined
  readonly wrapTtl: string | undefined
  readonly format: string | undefined
  readonly timeoutMilliseconds: number
  readonly maxRetries: number
  readonly followsRedirects: boolean
  readonly proxy: Readonly<Record<string, string | undefined>> | undefined
  readonly tls: ClientTls
}

/** Throws a TypeError that names a variable whose value can't be read. */
export function readEnvironment(environment: Environment): ClientEnvironment {
  const text = (name: string) => lookUpVariable(environment, name)?.value
  return {
    address: text('AGENT_ADDR') ?? text('ADDR') ?? DEFAULT_ADDRESS,
    token: text('TOKEN'),
    tokenFile: text('TOKEN_PATH'),
    namespace: text('NAMESPACE'),
    wrapTtl: text('WRAP_TTL'),
    format: text('FORMAT'),
    timeoutMilliseconds: readTimeout(environment),
    maxRetries: readCount(environment, 'MAX_RETRIES'),
    followsRedirects: !readBool(environment, 'DISABLE_REDIRECTS'),
    proxy: readProxy(environment),
    tls: {
      caFile: text('CACERT'),
      caText: text('CACERT_BYTES'),
      caFolder: text('CAPATH'),
      certificateFile: text('CLIENT_CERT'),
      keyFile: text('CLIENT_KEY'),
      serverName: text('TLS_SERVER_NAME'),
      skipsVerify: readBool(environment, 'SKIP_VERIFY'),
    },
  }
}

function readTimeout(environment: Environment): number {
  const variable = lookUpVariable(environment, 'CLIENT_TIMEOUT')
  if (!variable) return 60_000
  try {
    const seconds = parseDuration(variable.value)
    if (seconds > 0 && seconds < 1_000_000) return Math.ceil(seconds * 1000)
  } catch {
    // Told below, with the variable's name.
  }
  throw new TypeError(`${variable.name} is not a duration: ${variable.value}`)
}

function readCount(environment: Environment, name: string): number {
  const variable = lookUpVariable(environment, name)
  if (!variable) return 0
  if (/^[0-9]{1,3}$/.test(variable.value)) return Number(variable.value)
  throw new TypeError(`${variable.name} is not a count: ${variable.value}`)
}

function readBool(environment: Environment, name: string): boolean {
  const variable = lookUpVariable(environment, name)
  if (!variable) return false
  const value = parseBool(variable.value)
  if (value !== undefined) return value
  throw new TypeError(`${variable.name} is neither true nor false: ${variable.value}`)
}

/** A boolean in Go's spellings; undefined for other text. */
export function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false
  return undefined
}

function readProxy(environment: Environment): ClientEnvironment['proxy'] {
  const variable =
    lookUpVariable(environment, 'PROXY_ADDR') ?? lookUpVariable(environment, 'HTTP_PROXY')
  if (variable) return { HTTP_PROXY: variable.value, HTTPS_PROXY: variable.value }
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => [
    name.toLowerCase(),
    name,
  ])
  const set = names.filter((name) => environment[name])
  if (set.length === 0) return undefined
  return Object.fromEntries(set.map((name) => [name, environment[name]]))
}
