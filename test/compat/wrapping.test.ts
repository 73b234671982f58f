/** The recorded exchanges about response wrapping (contract 2.6). */
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({
  group: 'wrapping',
  start: startUnsealed,
  context: ['sys.mounts.create.ok', 'sys.mounts.create.ssh'],
  before: {
    'wrapping.sign.creds': async (replay) => {
      const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8', port: 2222 }
      await replay.ask('POST', 'ssh/roles/otp1', role)
    },
    'wrapping.public_key': async (replay) => {
      await replay.ask('POST', 'ssh-client-signer/config/ca', { key_type: 'ed25519' })
    },
  },
})
