/** Requests to a running server, for end-to-end tests. */

export interface ApiAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever members the answer should have.
  readonly body: any
}

export type Api = (
  method: string,
  path: string,
  body?: unknown,
  token?: string,
) => Promise<ApiAnswer>

/** Sends as `token`, unless another is given with the request ('' for none). */
export function apiOf(address: string, token: string): Api {
  return async (method, path, body, other) => {
    const sent = other ?? token
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: sent === '' ? {} : { 'X-Vault-Token': sent },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = text.startsWith('{') || text.startsWith('[')
    return { status: response.status, body: isJson ? JSON.parse(text) : text }
  }
}
