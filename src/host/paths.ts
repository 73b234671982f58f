/**
 * Where Postern keeps its things on a host, and what of sshd it looks at. One object, so that set-up, doctor,
 * service and hooks mean the same files. All are root's.
 */
export const hostPaths = {
  /** sshd's own. */
  sshd: '/usr/sbin/sshd',
  sshdConfig: '/etc/ssh/sshd_config',
  sshdPid: '/run/sshd.pid',
  /** The one file of sshd's configuration that is ours; sorts before every other of its folder. */
  dropInFolder: '/etc/ssh/sshd_config.d',
  dropIn: '/etc/ssh/sshd_config.d/00-postern.conf',
  /** What the drop-in names: 0755, files 0644. */
  sshFolder: '/etc/ssh/postern',
  userCa: '/etc/ssh/postern/user_ca.pub',
  revokedKeys: '/etc/ssh/postern/revoked.krl',
  principalsFolder: '/etc/ssh/postern/principals',
  keysFolder: '/etc/ssh/postern/keys',
  /** Config of `postern-host`, HCL. */
  configFolder: '/etc/postern',
  config: '/etc/postern/host.hcl',
  /** Survives a restart: 0700. */
  stateFolder: '/var/lib/postern-host',
  state: '/var/lib/postern-host/state.json',
  spoolFolder: '/var/lib/postern-host/spool',
  /** Gone after a restart. */
  runFolder: '/run/postern',
  status: '/run/postern/status.json',
} as const
