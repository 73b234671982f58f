/** Runs one of the project's own scripts on a Node that can: `node bin/run.js tools/x.ts args…`. */
const path = require('node:path')

const [script, ...args] = process.argv.slice(2)
require('./launch.js').runScript(path.resolve(script ?? ''), args)
