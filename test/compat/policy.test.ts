/** The recorded exchanges about policies (contract 2.3 and 4.1). */
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({
  group: 'policy',
  start: startUnsealed,
  before: {
    'policy.read.default': async (replay) => {
      const policy = 'path "a" { capabilities = ["read"] }'
      await replay.ask('PUT', 'sys/policies/acl/x', { policy })
    },
  },
})
