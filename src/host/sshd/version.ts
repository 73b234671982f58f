/** Which OpenSSH this host has. */
import { spawnSync } from 'node:child_process'
import { parseSshVersion, type SshVersion } from '../../ssh/host/drop-in.ts'

/** Undefined where there is no ssh, or another one. Client and server come from one source package. */
export function installedVersion(): SshVersion | undefined {
  return parseSshVersion(spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr ?? '')
}
