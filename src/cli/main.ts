/** Entry of `postern`: runs the command line of this process. */
import { runCli } from './run.ts'
import { processTerminal } from './terminal.ts'

// Not awaited: the built program is CommonJS, which starts faster.
void runCli(process.argv.slice(2), processTerminal).then((status) => {
  process.exitCode = status
})
