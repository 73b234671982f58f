/** sys/wrapping/*: responses that wait under a single-use token (contract 2.6). */
import { rfc3339 } from '../clock.ts'
import { badRequest, PosternError } from '../errors.ts'
import type { Call, Outcome } from '../mount/call.ts'
import { parseExactJson } from '../mount/exact-json.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import type { SysServices, WrappedContent } from './services.ts'

const tokenField = {
  token: {
    type: 'string',
    description: "The wrapping token; the request's own token when absent.",
  },
} as const

type WrappingCall = Call<typeof tokenField>

export function wrappingPaths(services: SysServices): Path[] {
  const lookUp = (call: WrappingCall) => lookUpContent(services, call)
  const unwrap = (call: WrappingCall) => unwrapContent(services, call)
  return [
    declarePath({
      pattern: 'wrapping/wrap',
      fields: {},
      anyData: true,
      operations: { update: (call) => wrap(call) },
      synopsis: 'Wraps the data of the request.',
      description:
        'Any JSON object, given back once to whoever unwraps it. Needs the header X-Vault-Wrap-TTL.',
    }),
    declarePath({
      pattern: 'wrapping/lookup',
      fields: tokenField,
      operations: { read: lookUp, update: lookUp },
      auth: 'none',
      chargesMisses: true,
      synopsis: 'Shows when and where a response was wrapped.',
      description: 'The content stays wrapped.',
    }),
    declarePath({
      pattern: 'wrapping/unwrap',
      fields: tokenField,
      operations: { read: unwrap, update: unwrap },
      auth: 'if-sent',
      chargesMisses: true,
      synopsis: 'Gives back a wrapped response, once.',
      description:
        'The token is used up, so that a second unwrap shows that somebody else was first.',
    }),
    declarePath({
      pattern: 'wrapping/rewrap',
      fields: tokenField,
      operations: {
        update: async (call) => {
          const content = await requireContent(services, call)
          return services.wrapping.rewrap(content, call.now)
        },
      },
      auth: 'if-sent',
      chargesMisses: true,
      synopsis: 'Puts a wrapped response under a new token.',
      description: 'With the same life again; the old token is used up.',
    }),
  ]
}

function wrap(call: Call): Outcome {
  if (call.wrapTtlSeconds === undefined) {
    throw badRequest('endpoint requires response wrapping to be used')
  }
  const exact =
    call.bodyText === undefined ? Object.fromEntries(call.data) : parseExactJson(call.bodyText)
  return { data: (exact ?? {}) as Record<string, unknown> }
}

function textOf(call: WrappingCall): string {
  const text = call.fields.token || (call.sentToken?.reveal() ?? '')
  if (text !== '') return text
  throw new PosternError('permission_denied', 'error validating wrapping token: token is empty')
}

async function requireContent(services: SysServices, call: WrappingCall): Promise<WrappedContent> {
  const content = await services.wrapping.read(textOf(call), call.now)
  if (!content) throw badRequest('wrapping token is not valid or does not exist')
  return content
}

async function lookUpContent(services: SysServices, call: WrappingCall): Promise<Outcome> {
  const { token, wrapping } = await requireContent(services, call)
  return {
    data: {
      creation_path: wrapping.creationPath,
      creation_time: rfc3339(token.issuedAt),
      creation_ttl: wrapping.ttlSeconds,
    },
  }
}

async function unwrapContent(services: SysServices, call: WrappingCall): Promise<Outcome> {
  const content = await requireContent(services, call)
  return { replay: content.text, ...services.wrapping.spend(content) }
}
