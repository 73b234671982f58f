/**
 * The two kinds of doors to what key shares allow (contract 2.1; pitfall CVE-2026-5807): Vault's, which open without a
 * token to who has a share and answer bare, and their successors in OpenBao, for sudo alone and with an envelope.
 */
import type { Call, Outcome } from '../../mount/call.ts'
import { networkOf } from '../../mount/network.ts'

export interface ShareDoor {
  /** Where the paths begin: `rekey`. */
  readonly root: string
  readonly access: {
    /** With sudo, or without a token and with a key share: attempt.ts says who may do what. */
    readonly auth?: 'optional'
    readonly chargesMisses?: true
    readonly sudo: 'all'
    readonly actsItself: true
  }
  /** For the descriptions: how an attempt begins here. */
  readonly start: string
  /** `body` with every member that old clients know. */
  answer(body: Record<string, unknown>): Outcome
}

export function openDoor(root: string): ShareDoor {
  return {
    root,
    access: { auth: 'optional', chargesMisses: true, sudo: 'all', actsItself: true },
    start: 'Without a token, the first share is given here.',
    answer: (body) => ({ bare: { body } }),
  }
}

/** `view` leaves out what the successor does not show. */
export function sudoDoor(
  root: string,
  view: (body: Record<string, unknown>) => Record<string, unknown>,
): ShareDoor {
  return {
    root,
    access: { sudo: 'all', actsItself: true },
    start: 'For sudo alone.',
    answer: (body) => ({ data: view(body) }),
  }
}

export const shareFields = {
  nonce: { type: 'string', description: 'Nonce of the attempt.' },
  key: { type: 'string', description: 'A key share, in hex or base64.' },
} as const

export const requester = (call: Call): { hasSudo: boolean; source: string } => ({
  hasSudo: call.caller?.hasSudo ?? false,
  source: networkOf(call.remoteAddress),
})
