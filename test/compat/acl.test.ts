/** The recorded exchanges about which requests a token's policies allow (contract 4.2 and 4.4). */
import { makeCaller } from './callers.ts'
import { type Replay, replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

const EVERYTHING_BUT_SUDO = '["create", "read", "update", "delete", "list"]'

replayGroup({
  group: 'acl',
  start: startUnsealed,
  context: [
    'sys.mounts.create.ok',
    'sys.mounts.create.parent_of_existing',
    'sys.mounts.create.ssh',
    'policy.write.match',
  ],
  before: {
    'acl.allowed': async (replay) => {
      await replay.ask('POST', 'sys/mounts/ssh-client-signer/tune', { default_lease_ttl: '10m' })
      await replay.ask('POST', 'sys/mounts/zz9', { type: 'ssh' })
      const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
      for (const name of ['otp1', 'otp3']) await replay.ask('POST', `ssh/roles/${name}`, role)
      await makeCaller(replay, 'acl.allowed', { policies: ['match'] })
    },
    'acl.create_only.ssh_creds': (replay) =>
      makeCallerOf(replay, 'acl.create_only.ssh_creds', '["create"]'),
    'acl.nosudo.auth_enable': (replay) =>
      makeCallerOf(replay, 'acl.nosudo.auth_enable', EVERYTHING_BUT_SUDO),
  },
})

/** A caller that has these capabilities everywhere, and no others. */
async function makeCallerOf(replay: Replay, record: string, capabilities: string): Promise<void> {
  const policy = `path "*" { capabilities = ${capabilities} }`
  await replay.ask('PUT', 'sys/policies/acl/everywhere', { policy })
  await makeCaller(replay, record, { policies: ['everywhere'], no_default_policy: true })
}
