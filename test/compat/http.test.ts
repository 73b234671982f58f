/** The recorded exchanges about HTTP itself: methods, paths, bodies, coercions (contract section 1). */
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({
  group: 'http',
  start: startUnsealed,
  before: {
    // From here on the records presume what those of other groups had made in between.
    'http.token.spaces': async (replay) => {
      await replay.ask('POST', 'sys/mounts/ssh', { type: 'ssh' })
      const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
      for (const name of ['otp1', 'otp3', 'w']) await replay.ask('POST', `ssh/roles/${name}`, role)
    },
  },
  requests: {
    'http.body.null': { request_body: 'null' },
    'http.dupkeys': {
      request_body: String.raw`{"policy":"path \"a\" {}","policy":"path \"b\" {}"}`,
    },
  },
})
