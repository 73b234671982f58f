/**
 * All commands: name, summary, and where the rest of the declaration is. Only the module of the command that
 * is run gets loaded.
 */
import type { AnyCommand, ListedCommand } from './command.ts'

const path = () => import('../commands/path.ts')
const mount = () => import('../commands/mount/mounts.ts')
const policy = () => import('../commands/policy.ts')
const token = () => import('../commands/token.ts')
const lease = () => import('../commands/lease.ts')
const audit = () => import('../commands/audit.ts')
const print = () => import('../commands/print.ts')
const init = () => import('../commands/operator/init.ts')
const seal = () => import('../commands/operator/seal.ts')
const quorum = () => import('../commands/operator/quorum.ts')
const rotate = () => import('../commands/operator/rotate.ts')
const cert = () => import('../commands/cert.ts')
const logins = () => import('../commands/logins.ts')
const backup = () => import('../commands/operator/backup.ts')
const hostSetup = () => import('../commands/host/setup.ts')
const oldMount = () => import('../commands/legacy/mount.ts')
const oldAuth = () => import('../commands/legacy/auth.ts')
const oldPolicy = () => import('../commands/legacy/policy.ts')
const oldOperator = () => import('../commands/legacy/operator.ts')

const row = (
  name: string,
  summary: string,
  load: () => Promise<AnyCommand>,
  isOld = false,
): ListedCommand => ({ name, summary, load, isOld })

/** A verb of 2015. */
const old = (name: string, summary: string, load: () => Promise<AnyCommand>): ListedCommand =>
  row(name, summary, load, true)

export const commandList: readonly ListedCommand[] = [
  row('read', 'Reads a path', async () => (await path()).read),
  row('write', 'Writes data to a path', async () => (await import('../commands/write.ts')).write),
  row('list', 'Lists what is below a path', async () => (await path()).list),
  row('delete', 'Deletes a path', async () => (await path()).remove),
  row('path-help', 'Shows what a path is for', async () => (await path()).pathHelp),
  row('unwrap', 'Unwraps a wrapped response', async () => (await path()).unwrap),
  row(
    'login',
    'Logs in and keeps the token',
    async () => (await import('../commands/login.ts')).login,
  ),
  row('print token', 'Shows the token in use', async () => (await print()).printToken),
  row(
    'ssh',
    'Logs in to a host with a fresh credential',
    async () => (await import('../commands/ssh.ts')).ssh,
  ),
  row(
    'ssh-config',
    'Prints configuration for plain ssh, scp, rsync and git',
    async () => (await import('../commands/ssh-config.ts')).sshConfig,
  ),
  row(
    'ssh-cert',
    'Keeps a certificate ready for plain ssh',
    async () => (await import('../commands/ssh-cert.ts')).sshCert,
  ),
  row('cert list', 'Lists certificates that were signed', async () => (await cert()).certList),
  row('cert show', 'Shows for whom a certificate was signed', async () => (await cert()).certShow),
  row('cert revoke', 'Has hosts refuse certificates', async () => (await cert()).certRevoke),
  row('logins', 'Shows who is logged in where, and who was', async () => (await logins()).logins),
  row('logins show', 'Shows one login', async () => (await logins()).loginsShow),
  row(
    'host setup',
    'Limits this host to certificates meant for it',
    async () => (await hostSetup()).hostSetup,
  ),
  row(
    'host check',
    'Looks for what is wrong with this host',
    async () => (await import('../commands/host/check.ts')).hostCheck,
  ),
  row('host leave', 'Undoes host setup', async () => (await hostSetup()).hostLeave),
  row(
    'host sshd-config',
    'Prints what limits the sshd of a host',
    async () => (await import('../commands/host/sshd-config.ts')).hostSshdConfig,
  ),
  row('status', 'Shows whether the server is sealed', async () => (await seal()).status),
  row('secrets enable', 'Mounts a secrets engine', async () => (await mount()).secretsEnable),
  row('secrets list', 'Lists secrets engines', async () => (await mount()).secretsList),
  row(
    'secrets tune',
    'Changes the settings of a secrets engine',
    async () => (await mount()).secretsTune,
  ),
  row(
    'secrets move',
    'Moves a secrets engine to another path',
    async () => (await mount()).secretsMove,
  ),
  row('secrets disable', 'Unmounts a secrets engine', async () => (await mount()).secretsDisable),
  row('auth enable', 'Mounts an auth method', async () => (await mount()).authEnable),
  row('auth list', 'Lists auth methods', async () => (await mount()).authList),
  row('auth tune', 'Changes the settings of an auth method', async () => (await mount()).authTune),
  row('auth move', 'Moves an auth method to another path', async () => (await mount()).authMove),
  row('auth disable', 'Unmounts an auth method', async () => (await mount()).authDisable),
  row('policy write', 'Writes a policy', async () => (await policy()).policyWrite),
  row('policy read', 'Shows a policy', async () => (await policy()).policyRead),
  row('policy list', 'Lists policies', async () => (await policy()).policyList),
  row('policy delete', 'Deletes a policy', async () => (await policy()).policyDelete),
  row('policy fmt', 'Lays out a policy file', async () => (await policy()).policyFmt),
  row('token create', 'Creates a token', async () => (await token()).tokenCreate),
  row('token lookup', 'Shows what a token is', async () => (await token()).tokenLookup),
  row('token renew', 'Renews a token', async () => (await token()).tokenRenew),
  row('token revoke', 'Revokes a token', async () => (await token()).tokenRevoke),
  row(
    'token capabilities',
    'Shows what a token may do on a path',
    async () => (await token()).tokenCapabilities,
  ),
  row('lease lookup', 'Shows what a lease is', async () => (await lease()).leaseLookup),
  row('lease renew', 'Renews a lease', async () => (await lease()).leaseRenew),
  row('lease revoke', 'Revokes leases', async () => (await lease()).leaseRevoke),
  row('audit enable', 'Adds an audit device', async () => (await audit()).auditEnable),
  row('audit list', 'Lists audit devices', async () => (await audit()).auditList),
  row('audit disable', 'Removes an audit device', async () => (await audit()).auditDisable),
  row('operator init', 'Initialises a new server', async () => (await init()).operatorInit),
  row(
    'operator unseal',
    'Gives the server one of its unseal keys',
    async () => (await seal()).operatorUnseal,
  ),
  row('operator seal', 'Seals the server', async () => (await seal()).operatorSeal),
  row('operator rekey', 'Makes new unseal keys', async () => (await quorum()).operatorRekey),
  row('operator rotate', 'Makes a new encryption key', async () => (await rotate()).operatorRotate),
  row(
    'operator key-status',
    'Shows the encryption key in use',
    async () => (await rotate()).operatorKeyStatus,
  ),
  row(
    'operator step-down',
    'Has another server take over',
    async () => (await rotate()).operatorStepDown,
  ),
  row(
    'operator generate-root',
    'Makes a root token from unseal keys',
    async () => (await quorum()).operatorGenerateRoot,
  ),
  row(
    'operator backup',
    'Copies the store of a running server to a file',
    async () => (await backup()).operatorBackup,
  ),
  row(
    'operator restore',
    'Puts a backup in the place of a stopped server’s store',
    async () => (await backup()).operatorRestore,
  ),
  row(
    'server',
    'Starts a server',
    async () => (await import('../commands/server/server.ts')).server,
  ),
  row(
    'completion',
    'Prints completions for a shell',
    async () => (await import('../commands/completion.ts')).completion,
  ),
  row('version', 'Shows the version', async () => (await print()).version),
  old('mount', 'Mounts a secrets engine', async () => (await oldMount()).mount),
  old('mounts', 'Lists secrets engines', async () => (await oldMount()).mounts),
  old('unmount', 'Unmounts a secrets engine', async () => (await oldMount()).unmount),
  old('remount', 'Moves a secrets engine', async () => (await oldMount()).remount),
  old(
    'mount-tune',
    'Changes the settings of a secrets engine',
    async () => (await oldMount()).mountTune,
  ),
  old('auth', 'Logs in', async () => (await oldAuth()).auth),
  old('auth-enable', 'Mounts an auth method', async () => (await oldAuth()).authEnable),
  old('auth-disable', 'Unmounts an auth method', async () => (await oldAuth()).authDisable),
  old('policies', 'Lists policies or shows one', async () => (await oldPolicy()).policies),
  old('policy-write', 'Writes a policy', async () => (await oldPolicy()).policyWriteOld),
  old('policy-delete', 'Deletes a policy', async () => (await oldPolicy()).policyDeleteOld),
  old('renew', 'Renews a lease', async () => (await oldPolicy()).renew),
  old('revoke', 'Revokes a lease', async () => (await oldPolicy()).revoke),
  old('token-create', 'Creates a token', async () => (await token()).tokenCreate),
  old('token-lookup', 'Shows what a token is', async () => (await token()).tokenLookup),
  old('token-renew', 'Renews a token', async () => (await token()).tokenRenew),
  old('token-revoke', 'Revokes a token', async () => (await oldAuth()).tokenRevokeOld),
  old('audit-enable', 'Adds an audit device', async () => (await oldOperator()).auditEnableOld),
  old('audit-list', 'Lists audit devices', async () => (await audit()).auditList),
  old(
    'audit-disable',
    'Removes an audit device',
    async () => (await oldOperator()).auditDisableOld,
  ),
  old('init', 'Initialises a new server', async () => (await oldOperator()).init),
  old('unseal', 'Gives the server an unseal key', async () => (await oldOperator()).unsealOld),
  old('seal', 'Seals the server', async () => (await oldOperator()).seal),
  old('key-status', 'Shows the encryption key', async () => (await oldOperator()).keyStatus),
  old('rotate', 'Makes a new encryption key', async () => (await rotate()).operatorRotate),
]
