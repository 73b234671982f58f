/** The keyring and the key shares: key-status, rotate, rekey, generate-root (contract 2.1; pitfall CVE-2026-5807). */
import { rfc3339 } from '../clock.ts'
import { badRequest } from '../errors.ts'
import type { Call, Outcome } from '../mount/call.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import type { GenerateRootStatus } from '../seal/generate-root.ts'
import type { RekeyStatus, RekeyUpdate, VerificationStatus } from '../seal/rekey.ts'
import type { SysServices } from './services.ts'

/** Operations that a calculation of AES-GCM's limits allows under one key; clients show it. */
const MAX_OPERATIONS = 3_865_470_566

/** With sudo, or without a token and with a key share: attempt.ts says who may do what. */
const byShares = { auth: 'optional', chargesMisses: true, sudo: 'all', actsItself: true } as const

export function keyPaths(services: SysServices): Path[] {
  return [...ringPaths(services), ...rekeyPaths(services), ...rootPaths(services)]
}

function ringPaths(services: SysServices): Path[] {
  const rotate = async () => {
    await services.seal.rotate()
    return {}
  }
  return [
    declarePath({
      pattern: 'key-status',
      fields: {},
      operations: {
        read: async () => {
          const { term, installTime, encryptions } = await services.seal.keyStatus()
          return { data: { encryptions, install_time: rfc3339(installTime), term } }
        },
      },
      topLevelCopy: true,
      synopsis: 'Shows the key that new values are sealed with.',
      description: 'Its term, when it was made, and about how many values were sealed with it.',
    }),
    ...['rotate', 'rotate/keyring'].map((pattern) =>
      declarePath({
        pattern,
        fields: {},
        operations: { update: rotate },
        actsItself: true,
        topLevelCopy: true,
        sudo: 'all',
        synopsis: 'Makes a new key.',
        description: 'New values are sealed with it; older ones still open.',
      }),
    ),
    declarePath({
      pattern: 'rotate/config',
      fields: {},
      operations: {
        read: () => ({ data: { enabled: true, interval: 0, max_operations: MAX_OPERATIONS } }),
      },
      synopsis: 'Shows how keys are rotated.',
      description:
        'Each process seals under a salt of its own, so that no key comes near its limit.',
    }),
  ]
}

const shareFields = {
  nonce: { type: 'string', description: 'Nonce of the attempt.' },
  key: { type: 'string', description: 'A key share, in hex or base64.' },
} as const

const requester = (call: Call) => ({
  hasSudo: call.caller?.hasSudo ?? false,
  source: call.remoteAddress,
})

function rekeyPaths(services: SysServices): Path[] {
  const { rekey } = services
  return [
    declarePath({
      pattern: 'rekey/init',
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
          bare(statusBody(await rekey.status(requester(call), call.fields.nonce))),
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
      ...byShares,
      synopsis: 'Starts, shows or cancels a rekey.',
      description:
        'New key shares, made with a quorum of the present ones. Without a token, the first share is given here.',
    }),
    declarePath({
      pattern: 'rekey/update',
      fields: shareFields,
      operations: {
        update: async (call) =>
          updated(await rekey.update(requester(call), call.fields.nonce, call.fields.key)),
      },
      ...byShares,
      synopsis: 'Takes one key share of a rekey.',
      description: 'The last one answers with the new shares, this one time.',
    }),
    declarePath({
      pattern: 'rekey/verify',
      fields: shareFields,
      operations: {
        read: async (call) =>
          bare(
            verificationBody(await rekey.verificationStatus(requester(call), call.fields.nonce)),
          ),
        update: async (call) =>
          bare(
            verificationBody(
              await rekey.verify(requester(call), call.fields.nonce, call.fields.key),
            ),
          ),
        delete: async (call) =>
          bare(
            verificationBody(await rekey.restartVerification(requester(call), call.fields.nonce)),
          ),
      },
      ...byShares,
      synopsis: 'Takes back one of the new shares.',
      description: 'With a quorum of them the new keys replace the old ones.',
    }),
  ]
}

const bare = (body: unknown): Outcome => ({ bare: { body } })

/** The keys are replaced behind the answer's audit line: an answer that is withheld loses no shares. */
function updated(status: RekeyUpdate): Outcome {
  const { install } = status
  return { ...bare(updateBody(status)), ...(install ? { afterwards: install } : {}) }
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

function rootPaths(services: SysServices): Path[] {
  const { generateRoot } = services
  return ['generate-root', 'generate-root-token'].flatMap((root) => [
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
      ...byShares,
      synopsis: 'Starts, shows or cancels the making of a root token.',
      description:
        'For when the last root token is lost. Without a token, the first share is given here.',
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
      ...byShares,
      synopsis: 'Takes one key share.',
      description:
        'The last one answers with the root token, XORed with the one-time password of the start.',
    }),
  ])
}

function rootOutcome(status: GenerateRootStatus): Outcome {
  return { ...bare(rootBody(status)), issuedKeys: status.issuedKeys ?? [] }
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
