/** Runs one of the project's own scripts on a Node that can: `node bin/run.js tools/x.ts args…`. */
import path from 'node:path'
import { runScript } from './launch.js'

const [script, ...args] = process.argv.slice(2)
await runScript(path.resolve(script ?? ''), args)
