/** What a new server starts with: its mounts, the default policy, a root token. */
import { rfc3339 } from '../clock.ts'
import type { TokenGrant } from '../mount/call.ts'
import { builtinMounts, MOUNTS_KEY, MountTable } from '../mount/mount-table.ts'
import { defaultPolicyText } from '../policy/builtin.ts'
import { encodePolicy, policyKey } from '../policy/stored-policy.ts'
import type { Write } from '../storage/store.ts'
import { type IssuedToken, newToken, tokenWrites } from './request/issue.ts'

interface FirstRecordOptions {
  hmac(secret: string): string
  readonly now: number
  /** The root token's text, for dev servers. */
  readonly rootTokenId?: string | undefined
}

export function firstRecords(options: FirstRecordOptions): { writes: Write[]; rootToken: string } {
  const root = newRootToken(options)
  const defaultPolicy = {
    name: 'default',
    text: defaultPolicyText,
    version: 1,
    casRequired: false,
    modified: rfc3339(options.now),
  }
  return {
    rootToken: root.text,
    writes: [
      { key: MOUNTS_KEY, value: new MountTable(builtinMounts()).encode() },
      { key: policyKey('default'), value: encodePolicy(defaultPolicy) },
      ...tokenWrites(root).writes,
    ],
  }
}

/** A root token without parent or end, not stored yet. */
export function newRootToken({ hmac, now, rootTokenId }: FirstRecordOptions): IssuedToken {
  const grant: TokenGrant = {
    displayName: 'root',
    policies: ['root'],
    ttlSeconds: 0,
    maxTtlSeconds: 0,
    explicitMaxTtlSeconds: 0,
    periodSeconds: 0,
    numUses: 0,
    renewable: false,
    metadata: undefined,
    parentId: undefined,
    ...(rootTokenId === undefined ? {} : { id: rootTokenId }),
    path: rootTokenId === undefined ? 'auth/token/root' : 'auth/token/create',
    entityId: '',
  }
  return newToken(
    { hmac },
    rootTokenId === undefined ? grant : { ...grant, displayName: 'token' },
    now,
  )
}
