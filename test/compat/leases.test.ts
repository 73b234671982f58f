/** The recorded exchanges about leases (contract 2.5). */
import { type Replay, recordOf, replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({
  group: 'leases',
  start: startUnsealed,
  context: [
    'sys.mounts.create.ok',
    'sys.mounts.create.ssh',
    'ssh.role.otp.create',
    'ssh.creds.ok',
    'ssh.verify.ok',
    'ssh.creds.for_revoke',
    'ssh.creds.lease2',
  ],
  before: {
    'leases.list.root': async (replay) => {
      const role = { key_type: 'otp', default_user: 'u', cidr_list: '0.0.0.0/0' }
      await replay.ask('POST', 'ssh-client-signer/roles/otpx', role)
      await replay.ask('PUT', 'ssh-client-signer/creds/otpx', { ip: '10.1.2.3' })
      await replay.ask('POST', 'auth/token/create', { policies: ['default'] })
    },
    'leases.list.ok': makeRecordedLeases,
  },
})

/** Some were made in records that are not replayed here, and one ended with its password; new ones stand for them. */
async function makeRecordedLeases(replay: Replay): Promise<void> {
  const { keys } = recordOf('leases.list.ok').response_body.data
  const { data } = await replay.ask('LIST', 'sys/leases/lookup/ssh/creds/otp1')
  for (const key of keys) {
    if (data.keys.includes(replay.mapping.liveOf(key))) continue
    const { lease_id } = await replay.ask('PUT', 'ssh/creds/otp1', { ip: '10.1.2.3' })
    replay.mapping.learn(key, lease_id.slice('ssh/creds/otp1/'.length))
  }
}
