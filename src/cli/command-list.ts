/**
 * All commands: name, summary, and where the rest of the declaration is. Only the module of the command that
 * is run gets loaded.
 */
import type { ListedCommand } from './command.ts'

const path = () => import('./commands/path.ts')
const secrets = () => import('./commands/secrets.ts')
const policy = () => import('./commands/policy.ts')
const token = () => import('./commands/token.ts')
const audit = () => import('./commands/audit.ts')
const mount = () => import('./commands/mount.ts')
const operator = () => import('./commands/operator.ts')
const keys = () => import('./commands/operator-keys.ts')
const backup = () => import('./commands/operator-backup.ts')

export const commandList: readonly ListedCommand[] = [
  { name: 'read', summary: 'Reads a path', load: async () => (await path()).read },
  {
    name: 'write',
    summary: 'Writes data to a path',
    load: async () => (await import('./commands/write.ts')).write,
  },
  { name: 'list', summary: 'Lists what is below a path', load: async () => (await path()).list },
  { name: 'delete', summary: 'Deletes a path', load: async () => (await path()).remove },
  {
    name: 'path-help',
    summary: 'Shows what a path is for',
    load: async () => (await path()).pathHelp,
  },
  {
    name: 'unwrap',
    summary: 'Unwraps a wrapped response',
    load: async () => (await path()).unwrap,
  },
  {
    name: 'login',
    summary: 'Logs in and keeps the token',
    load: async () => (await import('./commands/login.ts')).login,
  },
  {
    name: 'ssh',
    summary: 'Logs in to a host with a fresh credential',
    load: async () => (await import('./commands/ssh.ts')).ssh,
  },
  {
    name: 'ssh-config',
    summary: 'Prints configuration for plain ssh, scp, rsync and git',
    load: async () => (await import('./commands/ssh-config.ts')).sshConfig,
  },
  {
    name: 'ssh-cert',
    summary: 'Keeps a certificate ready for plain ssh',
    load: async () => (await import('./commands/ssh-cert.ts')).sshCert,
  },
  {
    name: 'status',
    summary: 'Shows whether the server is sealed',
    load: async () => (await operator()).status,
  },
  {
    name: 'secrets enable',
    summary: 'Mounts a secrets engine',
    load: async () => (await secrets()).secretsEnable,
  },
  {
    name: 'secrets list',
    summary: 'Lists secrets engines',
    load: async () => (await secrets()).secretsList,
  },
  {
    name: 'secrets disable',
    summary: 'Unmounts a secrets engine',
    load: async () => (await secrets()).secretsDisable,
  },
  {
    name: 'policy write',
    summary: 'Writes a policy',
    load: async () => (await policy()).policyWrite,
  },
  { name: 'policy read', summary: 'Shows a policy', load: async () => (await policy()).policyRead },
  { name: 'policy list', summary: 'Lists policies', load: async () => (await policy()).policyList },
  {
    name: 'policy delete',
    summary: 'Deletes a policy',
    load: async () => (await policy()).policyDelete,
  },
  {
    name: 'token create',
    summary: 'Creates a token',
    load: async () => (await token()).tokenCreate,
  },
  {
    name: 'token lookup',
    summary: 'Shows what a token is',
    load: async () => (await token()).tokenLookup,
  },
  {
    name: 'token revoke',
    summary: 'Revokes a token',
    load: async () => (await token()).tokenRevoke,
  },
  {
    name: 'audit enable',
    summary: 'Adds an audit device',
    load: async () => (await audit()).auditEnable,
  },
  {
    name: 'audit list',
    summary: 'Lists audit devices',
    load: async () => (await audit()).auditList,
  },
  {
    name: 'operator init',
    summary: 'Initialises a new server',
    load: async () => (await operator()).operatorInit,
  },
  {
    name: 'operator unseal',
    summary: 'Gives the server one of its unseal keys',
    load: async () => (await operator()).operatorUnseal,
  },
  {
    name: 'operator seal',
    summary: 'Seals the server',
    load: async () => (await operator()).operatorSeal,
  },
  {
    name: 'operator rekey',
    summary: 'Makes new unseal keys',
    load: async () => (await keys()).operatorRekey,
  },
  {
    name: 'operator generate-root',
    summary: 'Makes a root token from unseal keys',
    load: async () => (await keys()).operatorGenerateRoot,
  },
  {
    name: 'operator backup',
    summary: 'Copies the store of a running server to a file',
    load: async () => (await backup()).operatorBackup,
  },
  {
    name: 'operator restore',
    summary: 'Puts a backup in the place of a stopped server’s store',
    load: async () => (await backup()).operatorRestore,
  },
  {
    name: 'mount',
    summary: 'Mounts a secrets engine (verb of 2015)',
    load: async () => (await mount()).mount,
  },
  {
    name: 'mounts',
    summary: 'Lists secrets engines (verb of 2015)',
    load: async () => (await mount()).mounts,
  },
]
