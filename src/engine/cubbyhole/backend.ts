/**
 * The cubbyhole: storage that each token has for itself, gone with the token (contract, Decision 18). What it
 * keeps comes back as it was written, numbers to the digit (trap 10).
 */
import { PosternError, refused } from '../../errors.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import { parseExactJson } from '../../mount/exact-json.ts'
import { type Backend, declarePath, type Path } from '../../mount/path.ts'

/** Where the cubbyhole of a token lies in the mount's data: all of it goes when the token does. */
export function cubbyholeFolder(tokenId: string): string {
  return `${tokenId}/`
}

function folderOf({ caller }: Call): string {
  if (!caller) throw new PosternError('permission_denied')
  return cubbyholeFolder(caller.tokenId)
}

function absent(): PosternError {
  return new PosternError('not_found', undefined, { messages: [] })
}

/** The JSON text of the request's data: the body itself, so that no number passes through a double. */
function textOf(call: Call): string {
  if (call.data.size === 0) throw refused('missing data fields')
  return call.bodyText ?? JSON.stringify(Object.fromEntries(call.data))
}

async function list(call: Call, folder: string): Promise<Outcome> {
  const keys = await call.store.children(folderOf(call) + folder)
  if (keys.length === 0) throw absent()
  return { data: { keys } }
}

const listPath: Path = declarePath({
  pattern: '',
  fields: {},
  operations: { list: (call) => list(call, '') },
  synopsis: "The names in the token's cubbyhole.",
  description: 'Lists what the token has written; names that end in `/` are folders.',
})

const fields = {
  path: { type: 'string', description: 'Name of the value, slashes included.' },
} as const

const nameOf = (call: Call<typeof fields>): string => folderOf(call) + call.fields.path

const valuePath: Path = declarePath({
  pattern: ':path*',
  fields,
  anyData: true,
  exists: async (call) => (await call.store.get(nameOf(call))) !== undefined,
  operations: {
    read: async (call) => {
      const entry = await call.store.get(nameOf(call))
      if (!entry) throw absent()
      const text = Buffer.from(entry.value).toString()
      return { data: parseExactJson(text) as Record<string, unknown> }
    },
    create: write,
    update: write,
    delete: (call) => ({ writes: [call.store.remove(nameOf(call))] }),
    list: (call) => list(call, call.fields.path.replace(/\/?$/, '/')),
  },
  synopsis: "A value in the token's cubbyhole.",
  description:
    'Keeps any JSON object under any name. No other token can read it, not even a root token, and it is removed when the token ends.',
})

function write(call: Call<typeof fields>): Outcome {
  return { writes: [call.store.put(nameOf(call), Buffer.from(textOf(call)))] }
}

/** The engine of the one mount `cubbyhole/`. */
export function createCubbyholeBackend(): Backend {
  return {
    type: 'cubbyhole',
    description: 'Storage that each token has for itself.',
    paths: [listPath, valuePath],
  }
}
