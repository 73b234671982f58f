/** The server as an enrolled host talks to it: requests are signed with the host's key. */
import { Client } from '../../client/client.ts'
import type { JsonObject } from '../../client/json.ts'
import { envelopeOf, type Reply } from '../../client/reply.ts'
import { version } from '../../client/version.ts'
import type { PublicKey } from '../../ssh/key/public-key.ts'
import type { HostConfig } from '../config.ts'
import { type Signer, signRequest } from './signed-request.ts'
import { type HostState, trustedKeys } from './state.ts'

const MAX_REPLY_BYTES = 16 * 1024 * 1024
const TIMEOUT_MS = 20_000

export class Server {
  readonly #client: Client
  readonly #mount: string
  readonly #configuredKeys: readonly PublicKey[]

  constructor(config: HostConfig) {
    this.#client = new Client({
      address: config.address,
      namespace: config.namespace,
      timeoutMilliseconds: TIMEOUT_MS,
      followsRedirects: false,
      maxReplyBytes: MAX_REPLY_BYTES,
      userAgent: `postern-host/${version}`,
      tls: {
        caFile: config.caFile,
        caFolder: config.caFolder,
        serverName: config.serverName,
        skipsVerify: config.skipsVerify,
      },
    })
    this.#mount = config.mountPoint
    this.#configuredKeys = config.serverKeys
  }

  /** What anybody may read; long polls say how long they may take. */
  get(
    path: string,
    options: {
      readonly query?: Readonly<Record<string, string>>
      readonly headers?: Readonly<Record<string, string>>
      readonly timeoutMilliseconds?: number
    } = {},
  ): Promise<Reply> {
    const query = new Map(Object.entries(options.query ?? {}).map(([name, text]) => [name, [text]]))
    return this.#client.send('GET', `${this.#mount}/${path}`, { ...options, query })
  }

  /** The data of the answer to a signed request. Throws what the client throws, and for an answer without data. */
  async ask(
    signer: Signer,
    method: 'GET' | 'POST',
    path: string,
    body?: JsonObject,
  ): Promise<JsonObject> {
    const text = body === undefined ? '' : JSON.stringify(body)
    const full = `${this.#mount}/${path}`
    const headers = await signRequest(signer, { method, path: `/v1/${full}`, body: text })
    const data = envelopeOf(await this.#client.send(method, full, { body, headers }))?.data
    if (!data) throw new Error("the server's answer can't be read")
    return data
  }

  /** One of which has to sign a statement: the config's, where an operator named some. */
  signersFor(state: HostState): readonly PublicKey[] {
    return this.#configuredKeys.length > 0 ? this.#configuredKeys : trustedKeys(state)
  }

  /** Ends requests that wait, too. */
  close(): void {
    this.#client.close()
  }
}
