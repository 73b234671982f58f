/** A new root token from a quorum of key shares, at sys/generate-root and sys/generate-root-token (contract 2.1). */
import type { Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import type { GenerateRoot, GenerateRootStatus } from '../../seal/generate-root.ts'
import type { SysServices } from '../services.ts'
import { openDoor, requester, type ShareDoor, shareFields, sudoDoor } from './share-doors.ts'

const doors = [openDoor('generate-root'), sudoDoor('generate-root-token', successorView)]

export function generateRootPaths({ generateRoot }: SysServices): Path[] {
  return doors.flatMap((door) => pathsOf(door, generateRoot))
}

function pathsOf({ root, access, start, answer }: ShareDoor, generateRoot: GenerateRoot): Path[] {
  const rootOutcome = (status: GenerateRootStatus): Outcome => ({
    ...answer(rootBody(status)),
    issuedKeys: status.issuedKeys ?? [],
  })
  return [
    declarePath({
      pattern: `${root}/attempt`,
      fields: {
        ...shareFields,
        otp: {
          type: 'string',
          description: 'Hides the token in the last answer; made here when absent.',
        },
        pgp_key: { type: 'string', description: 'Not supported.' },
      },
      operations: {
        read: async (call) =>
          rootOutcome(await generateRoot.status(requester(call), call.fields.nonce)),
        update: async (call) => {
          const { otp, pgp_key: pgpKey, key } = call.fields
          return rootOutcome(await generateRoot.begin(requester(call), { otp, pgpKey, key }))
        },
        delete: async (call) => {
          await generateRoot.cancel(requester(call), call.fields.nonce)
          return {}
        },
      },
      ...access,
      synopsis: 'Starts, shows or cancels the making of a root token.',
      description: `A new root token, from a quorum of key shares. ${start}`,
    }),
    declarePath({
      pattern: `${root}/update`,
      fields: shareFields,
      operations: {
        update: async (call) =>
          rootOutcome(
            await generateRoot.update(requester(call), call.fields.nonce, call.fields.key),
          ),
      },
      ...access,
      synopsis: 'Takes one key share.',
      description:
        'The last one answers with the root token, XORed with the one-time password of the start.',
    }),
  ]
}

/** Shows what is not known yet by leaving it out. */
function successorView(body: Record<string, unknown>): Record<string, unknown> {
  const shown = Object.entries(body).filter(([name, value]) => name === 'otp' || value !== '')
  return Object.fromEntries(shown)
}

function rootBody(status: GenerateRootStatus): Record<string, unknown> {
  return {
    complete: status.complete,
    encoded_root_token: status.encodedToken,
    encoded_token: status.encodedToken,
    nonce: status.nonce,
    otp: status.otp,
    otp_length: status.otpLength,
    pgp_fingerprint: '',
    progress: status.progress,
    required: status.required,
    started: status.started,
  }
}
