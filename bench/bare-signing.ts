/** What a signature costs without any server around it: the floor that the other figures are read against. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

const SECONDS_EACH = 0.5

/** One line of text with the CPU milliseconds for each algorithm. */
export function bareSigning(): string {
  const keys: Record<string, [KeyObject, string | null]> = {
    Ed25519: [generateKeyPairSync('ed25519').privateKey, null],
    'P-256': [generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'sha256'],
    'RSA-4096': [generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey, 'sha256'],
  }
  return Object.entries(keys)
    .map(([name, [key, hash]]) => `${name} ${millisecondsPerSignature(key, hash).toFixed(3)}`)
    .join(', ')
}

function millisecondsPerSignature(key: KeyObject, hash: string | null): number {
  const message = randomBytes(400)
  const start = process.cpuUsage()
  const until = performance.now() + SECONDS_EACH * 1000
  let count = 0
  while (performance.now() < until) {
    sign(hash, message, key)
    count++
  }
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000 / count
}
