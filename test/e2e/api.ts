/** Requests to a server under test, with the status and the body as they came. */

export interface ApiAnswer {
  readonly status: number
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into an answer and fails where it has another form
  readonly body: any
}

export type Api = (method: string, path: string, body?: object) => Promise<ApiAnswer>

/** `token` goes with each request; null sends none. */
export function apiOf(address: string, token: string | null = 'root'): Api {
  return async (method, path, body) => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: {
        'X-Vault-Request': 'true',
        ...(token === null ? {} : { 'X-Vault-Token': token }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, text, body: parsed(text) }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
