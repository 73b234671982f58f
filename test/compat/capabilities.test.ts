/** The recorded exchanges about what a token may do at a path (contract 2.4 and 4.2). */
import { makeCaller } from './callers.ts'
import { recordOf, replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({
  group: 'capabilities',
  start: startUnsealed,
  context: ['policy.write.match'],
  before: {
    'capabilities.self': async (replay) => {
      const { accessor } = await makeCaller(replay, 'capabilities.self', { policies: ['match'] })
      replay.mapping.learn(recordOf('capabilities.accessor').request_body.accessor, accessor)
    },
  },
})
