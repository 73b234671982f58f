/** sys/tools/*: random bytes and hashes (contract 2.7). */
import { createHash } from 'node:crypto'
import { badRequest } from '../errors.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import { secretBytes } from '../random.ts'

const MAX_RANDOM_BYTES = 128 * 1024

const ALGORITHMS = new Map([
  ['sha2-224', 'sha224'],
  ['sha2-256', 'sha256'],
  ['sha2-384', 'sha384'],
  ['sha2-512', 'sha512'],
  ['sha3-224', 'sha3-224'],
  ['sha3-256', 'sha3-256'],
  ['sha3-384', 'sha3-384'],
  ['sha3-512', 'sha3-512'],
])

export function toolPaths(): Path[] {
  return [
    ...['tools/random(/:urlbytes)', 'tools/random/:source/:urlbytes'].map(randomPath),
    declarePath({
      pattern: 'tools/hash(/:urlalgorithm)',
      fields: {
        input: { type: 'string', description: 'What to hash, in base64.' },
        algorithm: {
          type: 'string',
          default: 'sha2-256',
          description: 'sha2-224 to sha2-512, sha3-224 to sha3-512.',
        },
        urlalgorithm: { type: 'string', description: 'The same, in the path.' },
        format: { type: 'string', default: 'hex', description: '"hex" or "base64".' },
      },
      operations: {
        update: ({ fields }) => {
          const format = encodingOf(fields.format)
          const name = fields.urlalgorithm || fields.algorithm
          const algorithm = ALGORITHMS.get(name)
          if (!algorithm) throw badRequest(`unsupported algorithm ${name}`)
          return {
            data: { sum: createHash(algorithm).update(decodeInput(fields.input)).digest(format) },
          }
        },
      },
      synopsis: 'Hashes bytes.',
      description: 'SHA-2 and SHA-3.',
    }),
  ]
}

function randomPath(pattern: string): Path {
  return declarePath({
    pattern,
    fields: {
      bytes: { type: 'int', default: 32, description: 'Number of bytes.' },
      urlbytes: { type: 'string', description: 'The same, in the path; or a source.' },
      source: {
        type: 'string',
        default: 'platform',
        description: 'There is one source, that of the platform.',
      },
      format: { type: 'string', default: 'base64', description: '"hex" or "base64".' },
    },
    operations: {
      update: ({ fields }) => {
        const format = encodingOf(fields.format)
        const isSource = ['platform', 'seal', 'all'].includes(fields.urlbytes)
        const count = fields.urlbytes === '' || isSource ? fields.bytes : countOf(fields.urlbytes)
        if (count < 1) throw badRequest('"bytes" cannot be less than 1')
        if (count > MAX_RANDOM_BYTES)
          throw badRequest(`"bytes" should be less than ${MAX_RANDOM_BYTES}`)
        return { data: { random_bytes: secretBytes(count).toString(format) } }
      },
    },
    synopsis: 'Gives random bytes.',
    description: 'From the random generator of the platform.',
  })
}

function countOf(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  throw badRequest(`error parsing url-set byte count: ${JSON.stringify(text)} is not a number`)
}

function encodingOf(format: string): 'hex' | 'base64' {
  if (format === 'hex' || format === 'base64') return format
  throw badRequest(
    `unsupported encoding format ${JSON.stringify(format)}; must be "hex" or "base64"`,
  )
}

function decodeInput(input: string): Buffer {
  const illegal = /[^A-Za-z0-9+/=\r\n]/.exec(input)
  const clean = input.replace(/[\r\n]/g, '')
  const bytes = Buffer.from(clean, 'base64')
  if (!illegal && bytes.toString('base64') === clean) return bytes
  throw badRequest(
    `unable to decode input as base64: illegal base64 data at input byte ${illegal?.index ?? clean.length}`,
  )
}
