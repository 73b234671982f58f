/** The recorded exchanges about tokens (contract section 3). */
import { makeCaller } from './callers.ts'
import { type Replay, recordOf, replayGroup } from './replay.ts'
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
    'token.accessors.list': knowRecordedAccessors,
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

/** Of tokens that were not made in records: other ones stand for them. */
async function knowRecordedAccessors(replay: Replay): Promise<void> {
  const { mapping } = replay
  const recorded: string[] = recordOf('token.accessors.list').response_body.data.keys
  const unknown = recorded.filter((accessor) => mapping.liveOf(accessor) === undefined)
  const known = new Set(recorded.map((accessor) => mapping.liveOf(accessor)))
  const { data } = await replay.ask('LIST', 'auth/token/accessors')
  const spare: string[] = data.keys.filter((accessor: string) => !known.has(accessor))
  for (const accessor of unknown) {
    const live = spare.pop() ?? (await replay.ask('POST', 'auth/token/create', {})).auth.accessor
    mapping.learn(accessor, live)
  }
}
