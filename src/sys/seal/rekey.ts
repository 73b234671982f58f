/** Rekey: new key shares from a quorum of the present ones, at sys/rekey and sys/rotate/root (contract 2.1). */
import { badRequest } from '../../errors.ts'
import type { Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import type { Rekey, RekeyStatus, RekeyUpdate, VerificationStatus } from '../../seal/rekey.ts'
import type { SysServices } from '../services.ts'
import { openDoor, requester, type ShareDoor, shareFields, sudoDoor } from './share-doors.ts'

const doors = [openDoor('rekey'), sudoDoor('rotate/root', successorView)]

export function rekeyPaths({ rekey }: SysServices): Path[] {
  return doors.flatMap((door) => pathsOf(door, rekey))
}

function pathsOf({ root, access, start, answer }: ShareDoor, rekey: Rekey): Path[] {
  /** The keys are replaced behind the answer's audit line: an answer that is withheld loses no shares. */
  const updated = (status: RekeyUpdate): Outcome => ({
    ...answer(updateBody(status)),
    ...(status.install ? { afterwards: status.install } : {}),
  })
  return [
    declarePath({
      pattern: `${root}/init`,
      fields: {
        ...shareFields,
        secret_shares: { type: 'int', description: 'Number of new key shares.' },
        secret_threshold: { type: 'int', description: 'Number of them that open the seal.' },
        require_verification: {
          type: 'bool',
          description: 'Replaces the keys only after the new shares were given back.',
        },
        pgp_keys: { type: 'string-list', description: 'Not supported.' },
        backup: { type: 'bool', description: 'Not supported.' },
      },
      operations: {
        read: async (call) =>
          answer(statusBody(await rekey.status(requester(call), call.fields.nonce))),
        update: async (call) => {
          const { fields } = call
          if (fields.backup) throw badRequest('backup of key shares is not supported')
          const status = await rekey.begin(requester(call), {
            shares: fields.secret_shares,
            threshold: fields.secret_threshold,
            pgpKeys: fields.pgp_keys,
            requireVerification: fields.require_verification,
            key: fields.key,
          })
          return updated(status)
        },
        delete: async (call) => {
          await rekey.cancel(requester(call), call.fields.nonce)
          return {}
        },
      },
      ...access,
      synopsis: 'Starts, shows or cancels a rekey.',
      description: `New key shares, made with a quorum of the present ones. ${start}`,
    }),
    declarePath({
      pattern: `${root}/update`,
      fields: shareFields,
      operations: {
        update: async (call) =>
          updated(await rekey.update(requester(call), call.fields.nonce, call.fields.key)),
      },
      ...access,
      synopsis: 'Takes one key share of a rekey.',
      description: 'The last one answers with the new shares, this one time.',
    }),
    declarePath({
      pattern: `${root}/verify`,
      fields: shareFields,
      operations: {
        read: async (call) =>
          answer(
            verificationBody(await rekey.verificationStatus(requester(call), call.fields.nonce)),
          ),
        update: async (call) =>
          answer(
            verificationBody(
              await rekey.verify(requester(call), call.fields.nonce, call.fields.key),
            ),
          ),
        delete: async (call) =>
          answer(
            verificationBody(await rekey.restartVerification(requester(call), call.fields.nonce)),
          ),
      },
      ...access,
      synopsis: 'Takes back one of the new shares.',
      description: 'With a quorum of them the new keys replace the old ones.',
    }),
  ]
}

/** Has neither the members of what is not supported nor a `complete` that says nothing. */
function successorView(body: Record<string, unknown>): Record<string, unknown> {
  const { backup: _backup, pgp_fingerprints: _fingerprints, ...view } = body
  if ('required' in view && view['complete'] === false) delete view['complete']
  return view
}

function statusBody(status: RekeyStatus): Record<string, unknown> {
  return {
    backup: false,
    n: status.shares,
    nonce: status.nonce,
    pgp_fingerprints: null,
    progress: status.progress,
    required: status.required,
    started: status.started,
    t: status.threshold,
    verification_nonce: status.verificationNonce,
    verification_required: status.requireVerification,
  }
}

function updateBody(status: RekeyUpdate): Record<string, unknown> {
  if (!status.complete && !status.keys) return { ...statusBody(status), complete: false }
  return {
    ...statusBody(status),
    complete: status.complete,
    keys: status.keys?.map((key) => key.toString('hex')) ?? [],
    keys_base64: status.keys?.map((key) => key.toString('base64')) ?? [],
  }
}

function verificationBody(status: VerificationStatus): Record<string, unknown> {
  const { nonce, started, threshold, shares, progress, complete } = status
  return { nonce, started, t: threshold, n: shares, progress, complete }
}
