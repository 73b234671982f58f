/**
 * Where Postern keeps its things on a host, and what of sshd it looks at. One object, so that set-up, doctor,
 * service and hooks mean the same files. All are root's.
 */
import { dropInPaths } from '../ssh/host/drop-in.ts'

export const hostPaths = {
  dropIn: dropInPaths.dropIn as string,
  userCa: dropInPaths.userCa as string,
  revokedKeys: dropInPaths.revokedKeys as string,
  /** sshd's own. */
  sshd: '/usr/sbin/sshd',
  sshdConfig: '/etc/ssh/sshd_config',
  sshdPid: '/run/sshd.pid',
  /** Where sshd's configuration takes whatever ends in `.conf`. */
  dropInFolder: '/etc/ssh/sshd_config.d',
  /** What the drop-in names is in here: 0755, files 0644. */
  sshFolder: '/etc/ssh/postern',
  principalsFolder: '/etc/ssh/postern/principals',
  keysFolder: '/etc/ssh/postern/keys',
  /** Config of `postern-host`, HCL. */
  configFolder: '/etc/postern',
  config: '/etc/postern/host.hcl',
  /** Survives a restart: 0700. */
  stateFolder: '/var/lib/postern-host',
  state: '/var/lib/postern-host/state.json',
  spoolFolder: '/var/lib/postern-host/spool',
  /** What PAM runs for each session; the service writes it. */
  sessionHook: '/var/lib/postern-host/session-hook',
  /** Gone after a restart. */
  runFolder: '/run/postern',
  status: '/run/postern/status.json',
} as const
