/**
 * `npm run build`: the two programs as one file each in `dist/`, with every package inside; beside them each worker as a
 * file of its own, and `ssh2`, which most servers never load. `bin/` starts them with Node's compile cache.
 */
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'

const root = path.resolve(import.meta.dirname, '..')
process.chdir(root)

const entryPoints = [
  { in: 'src/cli/main.ts', out: 'postern' },
  { in: 'src/host/main.ts', out: 'postern-host' },
  { in: 'src/storage/sqlite-worker.ts', out: 'sqlite-worker' },
]

const WORKER_URL = /new URL\('\.\/([a-z-]+)\.ts', import\.meta\.url\)/g

/**
 * A worker is named by the address of its source beside the file that starts it; all bundles lie in one
 * folder, so there the same name with `.js` finds it. A worker that is not built stops the build.
 */
const workerAddresses: Plugin = {
  name: 'worker-addresses',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
      const source = readFileSync(file, 'utf8')
      const contents = source.replace(WORKER_URL, (_, worker: string) => {
        if (!entryPoints.some(({ out }) => out === worker)) {
          throw new Error(`${file} starts ${worker}.ts, which is no entry point of tools/build.ts`)
        }
        return `new URL('./${worker}.js', import.meta.url)`
      })
      return { contents, loader: 'ts' }
    })
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
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node24',
  charset: 'utf8',
  legalComments: 'linked',
  logLevel: 'warning',
}

rmSync('dist', { recursive: true, force: true })
await build({
  ...shared,
  entryPoints,
  format: 'esm',
  plugins: [workerAddresses, ssh2Apart],
  // Packages in CommonJS call require, which a module in ESM format does not have by itself.
  banner: {
    js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
  },
})
await build({
  ...shared,
  entryPoints: ['ssh2'],
  // It uses __dirname, which only CommonJS has.
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  // It asks for its compiled parts, and goes on when there are none.
  external: ['cpu-features', '*.node'],
})
