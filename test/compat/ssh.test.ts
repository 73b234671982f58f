/** The recorded exchanges of the SSH engine (contract section 6). */
import assert from 'node:assert/strict'
import { type Replay, recordOf, replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

const MOUNT = 'ssh-client-signer'

/** Recorded where config/ca still took a second key (contract Decision 4): here it goes to issuers/import. */
const LATER_ISSUERS = [
  'ssh.ca.generate.ok',
  'ssh.ca.generate.again',
  'ssh.ca.generate.ec',
  'ssh.ca.generate.nistp256',
  'ssh.ca.generate.empty_body',
  'ssh.ca.import.rsa_pem',
  'ssh.ca.import.base64_only',
  'ssh.ca.issuer_name_ignored',
]

replayGroup({
  group: 'ssh',
  start: startUnsealed,
  context: [
    'sys.mounts.create.ok',
    'sys.mounts.create.parent_of_existing',
    'sys.mounts.create.ssh',
    'leases.revoke.ok',
  ],
  before: {
    // The pair whose halves do not belong together was not taken: there has to be another one.
    'ssh.ca.delete.one': async (replay) => {
      await replay.ask('POST', `${MOUNT}/config/ca`, { key_type: 'ed25519' })
    },
    'ssh.creds.mount_max_24h': async (replay) => {
      const role = { key_type: 'otp', default_user: 'u', cidr_list: '0.0.0.0/0' }
      await replay.ask('POST', `${MOUNT}/roles/otpx`, role)
    },
    'ssh.creds.mount_default_10m': async (replay) => {
      await replay.ask('POST', `sys/mounts/${MOUNT}/tune`, { default_lease_ttl: '10m' })
    },
    'ssh.creds.num_uses_token': async (replay) => {
      const policy = 'path "ssh/creds/*" { capabilities = ["update"] }'
      await replay.ask('PUT', 'sys/policies/acl/issues-otps', { policy })
      const token = { policies: ['issues-otps'], num_uses: 1 }
      const { auth } = await replay.ask('POST', 'auth/token/create', token)
      replay.mapping.learn(
        recordOf('ssh.creds.num_uses_token').request_headers['X-Vault-Token']!,
        auth.client_token,
      )
    },
  },
  after: Object.fromEntries(LATER_ISSUERS.map((name) => [name, importAsIssuer(name)])),
  requests: {
    'ssh.issuers.list.limit': pageBeforeRecordedIssuer,
  },
})

function importAsIssuer(name: string): (replay: Replay) => Promise<void> {
  return async (replay) => {
    const { issuer_name: _, ...body } = recordOf(name).request_body
    const answer = await replay.ask('POST', `${MOUNT}/issuers/import`, {
      ...body,
      set_default: true,
    })
    const differences = replay
      .learnAs(name, answer)
      .filter(({ where }) => where !== 'body.warnings')
    assert.deepEqual(differences, [], 'issuers/import answers as config/ca did')
  }
}

/** Ids are random: the page that holds the recorded issuer begins behind another id each time. */
async function pageBeforeRecordedIssuer(replay: Replay): Promise<{ path: string }> {
  const [recordedId] = recordOf('ssh.issuers.list.limit').response_body.data.keys
  const { data } = await replay.ask('LIST', `${MOUNT}/issuers`)
  const before = data.keys[data.keys.indexOf(replay.mapping.liveOf(recordedId)) - 1] ?? '0'
  return { path: `/v1/${MOUNT}/issuers?list=true&limit=1&after=${before}` }
}
