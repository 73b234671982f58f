/** The token auth method, always mounted at auth/token/ (contract 3). */
import type { Backend } from '../../mount/path.ts'
import { createPaths } from './create.ts'
import { lookupPaths } from './lookup.ts'
import { renewPaths } from './renew.ts'
import { revokePaths } from './revoke.ts'
import type { TokenServices } from './services.ts'

export function createTokenBackend(services: TokenServices): Backend {
  return {
    type: 'token',
    description:
      'Tokens: every other method ends in one. They form a tree, and a token takes all below it along when it is revoked.',
    paths: [
      ...createPaths(services),
      ...lookupPaths(services),
      ...renewPaths(services),
      ...revokePaths(services),
    ],
  }
}
