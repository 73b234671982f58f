/**
 * Rules for dependencies (protocols 6.3): exact versions, every lock entry with its checksum and from
 * the public registry, install scripts only where they are named, and few production packages.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'

const REGISTRY = 'https://registry.npmjs.org/'
const MAX_PRODUCTION_PACKAGES = 40

/**
 * Builds of development tools for platforms that CI does not run on may lack a checksum: npm writes none
 * where its registry does not carry them, and never fetches them on another platform.
 */
const CI_PLATFORM = { os: 'linux', cpu: 'x64' }

/** Packages whose install script is known; `.npmrc` keeps npm from running these too. */
const KNOWN_INSTALL_SCRIPTS = new Set([
  'node_modules/@swc/core',
  'node_modules/esbuild',
  // Both compile code that ssh2 does without.
  'node_modules/cpu-features',
  'node_modules/ssh2',
])

const EXACT_VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/

interface Manifest {
  readonly dependencies?: Record<string, string>
  readonly devDependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
}

interface LockEntry {
  readonly resolved?: string
  readonly integrity?: string
  readonly hasInstallScript?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
}

/** One sentence for each rule that package.json, package-lock.json or .npmrc break. */
export function lockfileProblems(root: string): string[] {
  const manifest = readJson(root, 'package.json') as Manifest
  const lock = readJson(root, 'package-lock.json') as { packages: Record<string, LockEntry> }
  const npmrc = readFileSync(path.join(root, '.npmrc'), 'utf8')
  return [
    ...manifestProblems(manifest),
    ...entryProblems(lock.packages),
    ...(/^ignore-scripts=true$/m.test(npmrc) ? [] : ['.npmrc does not say ignore-scripts=true']),
  ]
}

function manifestProblems(manifest: Manifest): string[] {
  const all = {
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  }
  return Object.entries(all)
    .filter(([, version]) => !EXACT_VERSION.test(version))
    .map(([name, version]) => `package.json: ${name} is not at an exact version: ${version}`)
}

function entryProblems(packages: Record<string, LockEntry>): string[] {
  const problems: string[] = []
  let productionCount = 0
  for (const [name, entry] of Object.entries(packages)) {
    if (name === '') continue
    if (!entry.dev) productionCount++
    if (!entry.integrity && !isForeignTool(entry)) problems.push(`${name} has no integrity`)
    if (!entry.resolved?.startsWith(REGISTRY)) {
      problems.push(`${name} does not come from ${REGISTRY}: ${entry.resolved}`)
    }
    if (entry.hasInstallScript && !KNOWN_INSTALL_SCRIPTS.has(name)) {
      problems.push(`${name} has an install script and is not on the list of known ones`)
    }
  }
  if (productionCount > MAX_PRODUCTION_PACKAGES) {
    problems.push(`${productionCount} production packages, ${MAX_PRODUCTION_PACKAGES} are allowed`)
  }
  return problems
}

function isForeignTool({ dev, optional, os, cpu, libc }: LockEntry): boolean {
  const runsOnCi =
    (os ?? []).includes(CI_PLATFORM.os) &&
    (cpu ?? []).includes(CI_PLATFORM.cpu) &&
    !libc?.includes('musl')
  return dev === true && optional === true && os !== undefined && cpu !== undefined && !runsOnCi
}

function readJson(root: string, file: string): unknown {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8'))
}
