/** The recorded exchanges about what a token may do at a path (contract 2.4 and 4.2). */
import { makeCaller } from './callers.ts'
import { recordOf, replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

/** Not recorded; this one gives what the record shows, by the same rules of priority. */
const PRIORITY = `
path "secret/*" { capabilities = ["read"] }
path "secret/abc" { capabilities = ["read", "update"] }
path "secret/ab/*" { capabilities = ["list"] }
path "secret/+/x" { capabilities = ["read"] }
path "secret/q/*" { capabilities = ["read"] }
path "secret/+/x/y" { capabilities = ["update"] }
path "secret/z*" { capabilities = ["deny"] }
path "exact/dir/" { capabilities = ["list"] }
path "exact/nodir" { capabilities = ["list"] }
`

replayGroup({
  group: 'capabilities',
  start: startUnsealed,
  context: ['policy.write.match'],
  before: {
    'capabilities.self': async (replay) => {
      const { accessor } = await makeCaller(replay, 'capabilities.self', { policies: ['match'] })
      replay.mapping.learn(recordOf('capabilities.accessor').request_body.accessor, accessor)
    },
    'capabilities.priority': async (replay) => {
      await replay.ask('PUT', 'sys/policies/acl/priority', { policy: PRIORITY })
      const options = { policies: ['priority'], no_default_policy: true }
      const { auth } = await replay.ask('POST', 'auth/token/create', options)
      replay.mapping.learn(recordOf('capabilities.priority').request_body.token, auth.client_token)
    },
  },
})
