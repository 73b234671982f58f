/** The recorded exchanges about audit devices and about a device that cannot write (contract section 10). */
import { execFileSync } from 'node:child_process'
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

let pid = 0

replayGroup({
  group: 'audit',
  start: async () => {
    const server = await startUnsealed()
    pid = server.pid
    return server
  },
  context: ['sys.mounts.create.ssh'],
  before: {
    'audit.list.empty': async (replay) => {
      const role = { key_type: 'otp', default_user: 'u', cidr_list: '1.2.3.4/32' }
      await replay.ask('POST', 'ssh/roles/otp', role)
    },
    // Recorded where a device could not be enabled over the API (contract Decision 10).
    'audit.hash.nodevice': async (replay) => {
      await replay.ask('DELETE', 'sys/audit/file')
    },
    // As on a full disk, no write to a file succeeds; a process may lower its own limits without being root.
    'audit.fail.read': async () => limitFileSize('0'),
    'audit.fail.recovered': async () => limitFileSize('unlimited'),
  },
})

function limitFileSize(bytes: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`])
}
