/** The recorded exchanges about tokens (contract section 3). */
import { makeCaller } from './callers.ts'
import { recordOf, replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({
  group: 'token',
  start: startUnsealed,
  context: ['policy.write.ok'],
  before: {
    'token.create.no_default': async (replay) => {
      const policy = 'path "a" { capabilities = ["read"] }'
      await replay.ask('PUT', 'sys/policies/acl/x', { policy })
    },
    'token.numuses.1': async (replay) => {
      const limits = { num_uses: 2, ttl: '1h' }
      await makeCaller(replay, 'token.numuses.1', { policies: ['default'], ...limits })
    },
    'token.child.create': async (replay) => {
      await makeCaller(replay, 'token.child.create', { policies: ['mk'] })
    },
    'token.revoke_accessor.ok': async (replay) => {
      const { auth } = await replay.ask('POST', 'auth/token/create', { policies: ['default'] })
      const { accessor } = recordOf('token.revoke_accessor.ok').request_body
      replay.mapping.learn(accessor, auth.accessor)
    },
    'token.revoke_self.ok': async (replay) => {
      await makeCaller(replay, 'token.revoke_self.ok', { policies: ['default'] })
    },
    'token.revoke_orphan.ok': async (replay) => {
      const { auth } = await replay.ask('POST', 'auth/token/create', { policies: ['default'] })
      const { token } = recordOf('token.revoke_orphan.ok').request_body
      replay.mapping.learn(token, auth.client_token)
    },
  },
})
