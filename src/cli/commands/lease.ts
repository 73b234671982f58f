/** `lease lookup`, `lease renew`, `lease revoke` (contract 8.2, 2.5). */
import type { Command } from '../declaration/command.ts'
import { fieldFlag } from '../declaration/common-flags.ts'
import { textFlag } from '../declaration/flag.ts'
import { usageFailure } from '../failure.ts'
import { printReply, say, warn } from '../output/output.ts'
import { secondsOf } from './token.ts'

export const leaseLookup: Command = {
  args: [{ name: 'id' }],
  flags: [fieldFlag],
  description: '',
  examples: ['postern lease lookup ssh/creds/otp/1vyTw7kTDCGZpNQ4T7tUUsvW'],
  async run(session) {
    const [id = ''] = session.input.args
    const body = { lease_id: id }
    printReply(
      session,
      await session.ask(`looking up lease ${id}`, 'PUT', 'sys/leases/lookup', { body }),
    )
    return 0
  },
}

export const leaseRenew: Command = {
  args: [{ name: 'id' }],
  flags: [fieldFlag, textFlag('increment', 'duration', 'Life time asked for, from now.')],
  description: 'Dynamic keys can be renewed; one-time passwords can not.',
  async run(session) {
    const [id = ''] = session.input.args
    const body = { increment: secondsOf(session.input, 'increment'), lease_id: id }
    printReply(session, await session.ask(`renewing ${id}`, 'PUT', 'sys/leases/renew', { body }))
    return 0
  },
}

export const leaseRevoke: Command = {
  args: [{ name: 'id' }],
  flags: [
    { name: 'prefix', kind: 'bool', help: 'ID is a prefix: revokes all leases below it.' },
    {
      name: 'force',
      kind: 'bool',
      aliases: ['f'],
      help: 'With -prefix: forgets also what can not be undone.',
    },
    { name: 'sync', kind: 'bool', help: 'Waits until it is done.' },
  ],
  description: '',
  examples: ['postern lease revoke -prefix ssh/creds/otp'],
  async run(session) {
    const { input } = session
    const [id = ''] = input.args
    const [isForced, isPrefix] = [input.bool('force') === true, input.bool('prefix') === true]
    if (isForced && !isPrefix) throw usageFailure('-force goes with -prefix only')
    const verb = isForced ? 'revoke-force' : isPrefix ? 'revoke-prefix' : 'revoke'
    if (isForced) warn(session, 'what hosts still have is not undone by a forced revocation')
    const sync = input.bool('sync') ?? false
    const body = isForced ? {} : { sync }
    const doing = isPrefix ? `revoking leases with prefix ${id}` : `revoking lease ${id}`
    await session.ask(doing, 'PUT', `sys/leases/${verb}/${id}`, { body })
    if (isForced) say(session, `Success! Force revoked any leases with prefix: ${id}`)
    else if (!sync) say(session, 'All revocation operations queued successfully!')
    else if (isPrefix) say(session, `Success! Revoked any leases with prefix: ${id}`)
    else say(session, `Success! Revoked lease: ${id}`)
    return 0
  },
}
