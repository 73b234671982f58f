/** The system backend, always mounted at sys/ (contract 2 and 10.1): one file per group of paths. */
import type { Backend } from '../mount/path.ts'
import { auditPaths } from './audit.ts'
import { capabilityPaths } from './capabilities.ts'
import { internalPaths } from './internal.ts'
import { leasePaths } from './lease/leases.ts'
import { mountPaths } from './mount/mounts.ts'
import { remountPaths } from './mount/remount.ts'
import { policyPaths } from './policies.ts'
import { generateRootPaths } from './seal/generate-root.ts'
import { keyPaths } from './seal/keys.ts'
import { rekeyPaths } from './seal/rekey.ts'
import { sealPaths } from './seal/seal.ts'
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
