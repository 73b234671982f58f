/**
 * Entry of the single executable: `postern`, or `postern-host` when started by that name. Its assets are the bundles of
 * tools/bundle.ts; Node's flags stand in tools/executable.ts.
 */
const path = require('node:path')
const { getAsset } = require('node:sea')
const { compileFunction } = require('node:vm')
const { prepareServer } = require('../bin/launch.js')

const modules = new Map()

/** Node's own modules, and by `./name` the bundles inside. */
function load(name) {
  if (!name.startsWith('./')) return require(name)
  const known = modules.get(name)
  if (known) return known.exports
  const module = { exports: {} }
  modules.set(name, module)
  const words = ['module', 'exports', 'require', '__filename', '__dirname']
  const run = compileFunction(getAsset(name.slice(2), 'utf8'), words, { filename: name.slice(2) })
  run(module, module.exports, load, process.execPath, path.dirname(process.execPath))
  return module.exports
}

if (path.basename(process.argv0) === 'postern-host') {
  load('./postern-host.cjs')
} else {
  if (process.argv[2] === 'server') prepareServer()
  load('./postern.cjs')
}
