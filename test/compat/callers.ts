/** Tokens that records use and whose making was not recorded. */
import { type Replay, recordOf } from './replay.ts'

/** Makes a token and lets it stand for the one that the named record was sent with. */
export async function makeCaller(
  replay: Replay,
  record: string,
  options: {
    readonly policies: readonly string[]
    readonly no_default_policy?: boolean
    readonly num_uses?: number
    readonly ttl?: string
  },
): Promise<{ readonly client_token: string; readonly accessor: string }> {
  const { auth } = await replay.ask('POST', 'auth/token/create', options)
  replay.mapping.learn(recordOf(record).request_headers['X-Vault-Token']!, auth.client_token)
  return auth
}
