/** The recorded exchanges about leases (contract 2.5). */
import { replayGroup } from './replay.ts'
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
  },
})
