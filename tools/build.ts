/**
 * `npm run build`: the programs in `dist/`, with every package inside: `postern` without and with its server, `postern-host`
 * as one file to copy; beside them workers and `ssh2`. `bin/` starts them with Node's compile cache.
 */
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'

const root = path.resolve(import.meta.dirname, '..')
process.chdir(root)

/** Started by address, so files of their own. */
const WORKERS = ['sqlite-worker']

const WORKER_URL = /new URL\('\.\/([a-z-]+)\.ts', import\.meta\.url\)/g

/**
 * A worker is named by the address of its source beside the file that starts it; all bundles lie in one
 * folder, so there the same name with `.cjs` finds it. A worker that is not built stops the build.
 */
const workerAddresses: Plugin = {
  name: 'worker-addresses',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
      const source = readFileSync(file, 'utf8')
      const contents = source.replace(WORKER_URL, (_, worker: string) => {
        if (!WORKERS.includes(worker)) {
          throw new Error(`${file} starts ${worker}.ts, which is no entry point of tools/build.ts`)
        }
        return `require('node:url').pathToFileURL(require('node:path').join(__dirname, '${worker}.cjs'))`
      })
      return { contents, loader: 'ts' }
    })
  },
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

const shared: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  charset: 'utf8',
  legalComments: 'linked',
  logLevel: 'warning',
}

rmSync('dist', { recursive: true, force: true })
const commonJs: BuildOptions = {
  ...shared,
  outdir: 'dist',
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
}
const plugins = [workerAddresses, ssh2Apart]
await build({
  ...commonJs,
  entryPoints: [{ in: 'src/cli/main.ts', out: 'postern' }],
  plugins: [...plugins, serverApart],
})
await build({
  ...shared,
  format: 'cjs',
  stdin: {
    contents: `export * from './src/cli/commands/server/run-server.ts'; export * from './src/index.ts'`,
    resolveDir: root,
  },
  outfile: 'dist/server.cjs',
  plugins,
})
await build({
  ...commonJs,
  entryPoints: WORKERS.map((worker) => `src/storage/${worker}.ts`),
  plugins,
})
await build({
  ...shared,
  entryPoints: [{ in: 'src/host/main.ts', out: 'postern-host' }],
  outdir: 'dist',
  format: 'esm',
  plugins,
  // Packages in CommonJS call require, which a module in ESM format does not have by itself.
  banner: {
    js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
  },
})
await build({
  ...commonJs,
  entryPoints: ['ssh2'],
  // It asks for its compiled parts, and goes on when there are none.
  external: ['cpu-features', '*.node'],
})
