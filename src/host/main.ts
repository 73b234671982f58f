/** Entry of `postern-host`: one deadline over everything, and no way to exit 0 but a decided yes. */
import { writeSyslog } from './log.ts'
import { runHost } from './run.ts'

const TIMEOUT_MILLISECONDS = 2000

const surroundings = {
  environment: process.env,
  stdin: process.stdin,
  writeOutput: (text: string) => void process.stdout.write(text),
  writeError: (text: string) => void process.stderr.write(text),
  writeSyslog,
}

process.exitCode = 1
// Covers what the client's own deadline does not: a stdin that is never closed.
setTimeout(() => {
  surroundings.writeError('postern-host: refused: no decision in time\n')
  writeSyslog('refused: no decision in time')
  process.exit(1)
}, TIMEOUT_MILLISECONDS)

// Not awaited: in the executable it is CommonJS. A failure that nobody expected ends the process with 1.
void runHost(process.argv.slice(2), surroundings, TIMEOUT_MILLISECONDS).then((status) => {
  process.exit(status)
})
