/** The system backend, always mounted at sys/ (contract 2 and 10.1): one file per group of paths. */
import type { Backend } from '../mount/path.ts'
import { auditPaths } from './audit.ts'
import { capabilityPaths } from './capabilities.ts'
import { generateRootPaths } from './generate-root.ts'
import { internalPaths } from './internal.ts'
import { keyPaths } from './keys.ts'
import { leasePaths } from './leases.ts'
import { mountPaths } from './mounts.ts'
import { policyPaths } from './policies.ts'
import { rekeyPaths } from './rekey.ts'
import { remountPaths } from './remount.ts'
import { sealPaths } from './seal.ts'
import { serverPaths } from './server-facts.ts'
import type { SysServices } from './services.ts'
import { toolPaths } from './tools.ts'
import { wrappingPaths } from './wrapping.ts'

export function createSysBackend(services: SysServices): Backend {
  return {
    type: 'system',
    description: 'Control of the server itself: seal, mounts, policies, leases, audit.',
    paths: [
      ...sealPaths(services),
      ...mountPaths(services),
      ...remountPaths(services),
      ...policyPaths(services),
      ...capabilityPaths(services),
      ...leasePaths(services),
      ...auditPaths(services),
      ...wrappingPaths(services),
      ...toolPaths(),
      ...keyPaths(services),
      ...rekeyPaths(services),
      ...generateRootPaths(services),
      ...internalPaths(services),
      ...serverPaths(services),
    ],
  }
}
