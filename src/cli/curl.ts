/** A request as a curl command for sh (contract 8.1, `-output-curl-string`); the token stays out of it. */
import type { RequestPreview } from '../client/client.ts'
import type { ClientTls } from '../client/tls.ts'

export function curlLine(request: RequestPreview, tls: ClientTls): string {
  const { method, url, headers, body, socketPath } = request
  const words = ['curl']
  if (method !== 'GET') words.push('-X', method)
  if (socketPath !== undefined) words.push('--unix-socket', quote(socketPath))
  if (tls.skipsVerify) words.push('--insecure')
  for (const [flag, file] of [
    ['--cacert', tls.caFile],
    ['--capath', tls.caFolder],
    ['--cert', tls.certificateFile],
    ['--key', tls.keyFile],
  ] as const) {
    if (file) words.push(flag, quote(file))
  }
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'X-Vault-Token') words.push('-H', `"X-Vault-Token: $(postern print token)"`)
    else if (!/^(User-Agent|Content-Length)$/.test(name)) {
      words.push('-H', quote(`${name}: ${value}`))
    }
  }
  if (body !== undefined) words.push('-d', quote(body))
  return [...words, quote(url)].join(' ')
}

function quote(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
