/** The recorded exchanges about what user interfaces and generators ask (contract 2.8). */
import { makeCaller } from './callers.ts'
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({
  group: 'internal',
  start: startUnsealed,
  context: [
    'sys.mounts.create.ok',
    'sys.mounts.create.parent_of_existing',
    'sys.mounts.create.ssh',
    'policy.write.match',
  ],
  before: {
    'internal.ui.mounts.root': async (replay) => {
      await replay.ask('POST', 'sys/mounts/ssh-client-signer/tune', { default_lease_ttl: '10m' })
      await replay.ask('POST', 'sys/mounts/zz9', { type: 'ssh' })
    },
    'internal.ui.mounts.path_noperm': async (replay) => {
      await makeCaller(replay, 'internal.ui.mounts.path_noperm', { policies: ['match'] })
    },
  },
})
