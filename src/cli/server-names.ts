/** Names that the server knows, for completion: of mounts, roles, policies and paths. Empty where it can't be asked. */
import { isObject, type JsonObject } from '../client/json.ts'
import { envelopeOf, jsonOf, texts } from '../client/reply.ts'
import type { Terminal } from './output/terminal.ts'
import { Session } from './session.ts'

/** Who presses a key does not wait for longer. */
const PATIENCE = '2s'

/** Below a mount of the ssh engine. */
const SSH_PATHS = ['config/ca', 'creds/', 'issue/', 'lookup', 'public_key', 'roles/', 'sign/']
const OF_ROLES = new Set(['creds/', 'issue/', 'sign/'])

export class ServerNames {
  readonly #terminal: Terminal

  constructor(terminal: Terminal) {
    const environment = { ...terminal.environment, POSTERN_CLIENT_TIMEOUT: PATIENCE }
    this.#terminal = Object.assign(Object.create(terminal) as Terminal, { environment })
  }

  async roles(mount: string): Promise<string[]> {
    return await this.#list(`${mount.replace(/\/+$/, '')}/roles`)
  }

  async policies(): Promise<string[]> {
    return await this.#list('sys/policies/acl')
  }

  /** With a slash at the end. */
  async mounts(kind: 'secret' | 'auth'): Promise<string[]> {
    return Object.keys((await this.#mountTable())[kind])
  }

  async auditDevices(): Promise<string[]> {
    return Object.keys((await this.#data('sys/audit')) ?? {})
  }

  /** Paths that begin as the one that is typed does, up to the next slash. */
  async paths(typed: string): Promise<string[]> {
    const folder = typed.slice(0, typed.lastIndexOf('/') + 1)
    const { secret, auth } = await this.#mountTable()
    const mount = Object.keys(secret).find((path) => folder.startsWith(path))
    if (mount === undefined) {
      const all = [
        ...Object.keys(secret),
        ...Object.keys(auth).map((path) => `auth/${path}`),
        'sys/',
      ]
      return folder === '' || all.some((path) => path.startsWith(folder)) ? all : []
    }
    const below = folder.slice(mount.length)
    const entry = secret[mount]
    if (isObject(entry) && entry['type'] === 'ssh') {
      if (below === '') return SSH_PATHS.map((path) => mount + path)
      if (OF_ROLES.has(below)) return (await this.roles(mount)).map((role) => folder + role)
    }
    return (await this.#list(folder.slice(0, -1))).map((name) => folder + name)
  }

  async #mountTable(): Promise<{ secret: JsonObject; auth: JsonObject }> {
    const data = await this.#data('sys/internal/ui/mounts')
    const [secret, auth] = [data?.['secret'], data?.['auth']]
    return { secret: isObject(secret) ? secret : {}, auth: isObject(auth) ? auth : {} }
  }

  async #data(path: string): Promise<JsonObject | undefined> {
    const data = await this.#ask(path, new Map())
    return isObject(data) ? data : undefined
  }

  async #list(path: string): Promise<string[]> {
    const data = await this.#ask(path, new Map([['list', ['true']]]))
    return isObject(data) ? texts(data['keys']) : []
  }

  async #ask(path: string, query: Map<string, string[]>): Promise<JsonObject[string] | undefined> {
    const input = { args: [], text: () => undefined, bool: () => undefined, list: () => [] }
    try {
      const { client, token } = await Session.open(this.#terminal, input)
      if (token === undefined) return undefined
      try {
        const reply = await client.send('GET', path, { query })
        return envelopeOf(reply)?.data ?? jsonOf(reply)
      } finally {
        client.close()
      }
    } catch {
      return undefined
    }
  }
}
