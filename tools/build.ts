/**
 * `npm run build`: the two programs as one file each in `dist/`, with every package inside, and each worker
 * as a file of its own beside them. `bin/` starts them with Node's compile cache.
 */
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { build, type Plugin } from 'esbuild'

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

rmSync('dist', { recursive: true, force: true })
await build({
  entryPoints,
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  charset: 'utf8',
  legalComments: 'linked',
  plugins: [workerAddresses],
  // ssh2 asks for its compiled parts, and goes on when there are none.
  external: ['cpu-features', '*.node'],
  // Packages in CommonJS call require, which a module in ESM format does not have by itself.
  banner: {
    js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
