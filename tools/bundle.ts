/**
 * Bundles of the programs with every package inside: `postern` without and with its server, `postern-host`, and beside
 * them workers and `ssh2`. They find one another as files of one folder, or as parts of the executable.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'

const root = path.resolve(import.meta.dirname, '..')

/** `executable`: CommonJS that loads all but Node's own modules from the executable (packaging/executable.js). */
export type BundleForm = 'files' | 'executable'

/** Started by address, so files of their own. */
const WORKERS = [
  'src/storage/sqlite/sqlite-worker.ts',
  'src/engine/ssh/inventory/krl/krl-worker.ts',
]

const WORKER_URL = /new URL\('\.\/([a-z-]+)\.ts', import\.meta\.url\)/g

/**
 * A worker is named by the address of its source beside the file that starts it. All bundles lie in one folder, so there
 * the same name with `.cjs` finds it; an executable has no files, and gives the text as the address. A worker that is
 * not built stops the build.
 */
function workerAddresses(form: BundleForm): Plugin {
  const address = (worker: string) =>
    form === 'files'
      ? `require('node:url').pathToFileURL(require('node:path').join(__dirname, '${worker}.cjs'))`
      : `new URL('data:text/javascript,' + encodeURIComponent(require('node:sea').getAsset('${worker}.mjs', 'utf8')))`
  return {
    name: 'worker-addresses',
    setup({ onLoad }) {
      onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
        const source = readFileSync(file, 'utf8')
        const contents = source.replace(WORKER_URL, (_, worker: string) => {
          if (WORKERS.some((file) => file.endsWith(`/${worker}.ts`))) return address(worker)
          throw new Error(`${file} starts ${worker}.ts, which is no entry point of tools/bundle.ts`)
        })
        return { contents, loader: 'ts' }
      })
    },
  }
}

/** The commands that start or open a server's store find its code beside them; the others never read it. */
const serverApart: Plugin = {
  name: 'server-apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/(run-server|index)\.ts$/ }, ({ importer, kind }) =>
      kind === 'dynamic-import' && importer.includes('/cli/commands/')
        ? { path: './server.cjs', external: true }
        : undefined,
    )
  },
}

/** `import('ssh2')` finds the file beside the bundle: a server that reaches no host keeps not even its text in memory. */
const ssh2Apart: Plugin = {
  name: 'ssh2-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^ssh2$/ }, () => ({ path: './ssh2.cjs', external: true }))
  },
}

/** Packages in CommonJS call require, which a module in ESM format does not have by itself. */
const REQUIRE =
  "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);"

/** Writes the bundles into a folder. Gives the folders, below the root, of the packages whose code is in them. */
export async function bundlePrograms(folder: string, form: BundleForm): Promise<string[]> {
  const shared: BuildOptions = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node24',
    // Node keeps text that is not all ASCII in twice the memory, and reads an executable's more slowly.
    charset: form === 'files' ? 'utf8' : 'ascii',
    legalComments: form === 'files' ? 'linked' : 'none',
    logLevel: 'warning',
    metafile: true,
    outdir: folder,
    // `import()` finds nothing that is inside an executable.
    supported: { 'dynamic-import': form === 'files' },
  }
  const commonJs: BuildOptions = {
    ...shared,
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    // Required instead: an import reads through a file for its exports first, 12 ms for the server's.
    supported: { 'dynamic-import': false },
  }
  const esModule: BuildOptions = { ...shared, format: 'esm' }
  const plugins = [workerAddresses(form), ssh2Apart]
  const workers = WORKERS.map((file) => ({ in: file, out: path.basename(file, '.ts') }))
  const built = await Promise.all([
    build({
      ...commonJs,
      entryPoints: [{ in: 'src/cli/main.ts', out: 'postern' }],
      plugins: [...plugins, serverApart],
    }),
    build({
      ...commonJs,
      stdin: {
        contents: `export * from './src/cli/commands/server/run-server.ts'; export * from './src/index.ts'`,
        resolveDir: root,
        sourcefile: 'server.ts',
      },
      entryNames: 'server',
      plugins,
    }),
    build(
      form === 'files'
        ? { ...commonJs, entryPoints: workers, plugins }
        : { ...esModule, outExtension: { '.js': '.mjs' }, entryPoints: workers, plugins },
    ),
    build({
      ...(form === 'files' ? { ...esModule, banner: { js: REQUIRE } } : commonJs),
      entryPoints: [{ in: 'src/host/main.ts', out: 'postern-host' }],
      plugins,
    }),
    build({
      ...commonJs,
      entryPoints: ['ssh2'],
      // It asks for its compiled parts, and goes on when there are none.
      external: ['cpu-features', '*.node'],
    }),
  ])
  const inputs = built.flatMap(({ metafile }) => Object.keys(metafile?.inputs ?? {}))
  return packagesOf(inputs)
}

function packagesOf(files: readonly string[]): string[] {
  const found = files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0])
  return [...new Set(found.filter((folder) => folder !== undefined))].sort()
}
