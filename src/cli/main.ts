/** Entry of `postern`: runs the command line of this process. */
import { runCli } from './run.ts'
import { processTerminal } from './terminal.ts'

// The reader of a pipe may go away early, as `head` does.
process.stdout.on('error', () => {})

process.exitCode = await runCli(process.argv.slice(2), processTerminal)
