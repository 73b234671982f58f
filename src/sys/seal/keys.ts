/** The keyring: key-status and rotate (contract 2.1). */
import { rfc3339 } from '../../clock.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import type { SysServices } from '../services.ts'

/** Operations that a calculation of AES-GCM's limits allows under one key; clients show it. */
const MAX_OPERATIONS = 3_865_470_566

export function keyPaths(services: SysServices): Path[] {
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
