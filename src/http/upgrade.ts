/**
 * Offers to go on in another protocol (RFC 9110 7.8): Java's client makes one with each request in clear. None is taken
 * up. Node's parser stops behind such a head and would drop what the client has sent after it, so the head is put back
 * without the offer, and a new parser goes on.
 */
import type { IncomingMessage } from 'node:http'
import { takeMethod } from './connection.ts'
import { type Passage, resume } from './list-method.ts'

/** Serves the request as if it held no offer; `rest` is what came behind its head. */
export function declineUpgrade(
  { server, held, refuse }: Pick<Passage, 'server' | 'held' | 'refuse'>,
  request: IncomingMessage,
  rest: Buffer,
): void {
  const { socket } = request
  // Node has taken its own listeners off.
  const ignore = () => {}
  const passOn = () => server.emit('timeout', socket)
  socket.on('error', ignore).on('timeout', passOn)
  const release = () => socket.off('error', ignore).off('timeout', passOn)
  resume({ server, socket, release, held, refuse }, Buffer.concat([headOf(request), rest]))
}

/** The head as it came, less the offer. */
function headOf({ method, socket, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${takeMethod(socket, method ?? '')} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2)
    const kept = keptValue(name.toLowerCase(), value)
    if (kept !== undefined) lines.push(`${name}: ${kept}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

function keptValue(name: string, value: string): string | undefined {
  if (name === 'upgrade') return undefined
  if (name !== 'connection') return value
  return value
    .split(',')
    .filter((option) => option.trim().toLowerCase() !== 'upgrade')
    .join(',')
}
