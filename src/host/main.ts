/** Entry of `postern-host`: for logins one deadline over everything, and no way to exit 0 but a decided yes. */
import { writeSyslog } from './log.ts'
import { runHost } from './otp/run.ts'

const TIMEOUT_MILLISECONDS = 2000

const surroundings = {
  environment: process.env,
  stdin: process.stdin,
  writeOutput: (text: string) => void process.stdout.write(text),
  writeError: (text: string) => void process.stderr.write(text),
  writeSyslog,
}

/** Of commands.ts: what no login waits for, and what may run for years. */
const OTHER_COMMANDS: readonly (string | undefined)[] = ['enroll', 'service', 'status']

process.exitCode = 1
const args = process.argv.slice(2)
// Not awaited: in the executable it is CommonJS. A failure that nobody expected ends the process with 1.
if (OTHER_COMMANDS.includes(args[0])) {
  void import('./commands.ts')
    .then(({ runCommand }) => runCommand(args))
    .then((status) => process.exit(status))
} else {
  // Covers what the client's own deadline does not: a stdin that is never closed.
  setTimeout(() => {
    surroundings.writeError('postern-host: refused: no decision in time\n')
    writeSyslog('refused: no decision in time')
    process.exit(1)
  }, TIMEOUT_MILLISECONDS)
  void runHost(args, surroundings, TIMEOUT_MILLISECONDS).then((status) => {
    process.exit(status)
  })
}
