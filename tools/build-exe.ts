/**
 * `npm run build:exe [-- FOLDER]`: all that is shipped for Linux on x64, in `release/` or another folder: the executable with its
 * link, the Debian package, what is inside (SBOM, licences), and the checksums of it all.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { buildDebianArchive } from './debian-archive.ts'
import { buildExecutable, pinnedNode } from './executable.ts'
import { licenseTexts, sbomOf } from './sbom.ts'

const root = path.resolve(import.meta.dirname, '..')
const folder = path.resolve(process.argv[2] ?? path.join(root, 'release'))
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const epoch = buildTime()

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const inFolder = (name: string): string => path.join(folder, name)

const executable = inFolder('postern')
const packages = await buildExecutable(executable)
symlinkSync('postern', inFolder('postern-host'))

const nodeVersions = JSON.parse(
  execFileSync(pinnedNode, ['-p', 'JSON.stringify(process.versions)'], { encoding: 'utf8' }),
)
writeFileSync(inFolder(`postern-${version}.cdx.json`), sbomOf({ packages, nodeVersions, epoch }))
const licenses = licenseTexts(packages)
writeFileSync(inFolder('LICENSES'), licenses)
const file = inFolder(`postern_${version}_amd64.deb`)
buildDebianArchive({ file, version, executable, licenses, epoch })

const sums = readdirSync(folder)
  .sort()
  .filter((name) => lstatSync(inFolder(name)).isFile())
  .map((name) => `${sha256(inFolder(name))}  ${name}\n`)
writeFileSync(inFolder('SHA256SUMS'), sums.join(''))
process.stdout.write(sums.join(''))

/** The time that everything inside has: what SOURCE_DATE_EPOCH says, else that of the commit; without either 1970. */
function buildTime(): number {
  const asked = process.env['SOURCE_DATE_EPOCH']
  if (asked) return Number(asked)
  const log = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' })
  return Number(log.stdout?.trim() || 0)
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
