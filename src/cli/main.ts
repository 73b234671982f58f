/** Entry of `postern`: runs the command line of this process. */

import { allWritten, processTerminal } from './output/terminal.ts'
import { runCli } from './run.ts'

// Not awaited: the built program is CommonJS, which starts faster.
void runCli(process.argv.slice(2), processTerminal).then(async (status) => {
  await allWritten()
  // Sooner than by itself: nothing is left to do but to close connections.
  process.exit(status)
})
