/** The verbs of 2015 for policies and leases: `policies`, `policy-write`, `policy-delete`, `renew`, `revoke` (contract 8.2, 2.5). */
import { envelopeOf, jsonOf, texts } from '../../../client/reply.ts'
import type { Command } from '../../declaration/command.ts'
import { fieldFlag } from '../../declaration/common-flags.ts'
import { readText } from '../../declaration/pairs.ts'
import { Failure, usageFailure } from '../../failure.ts'
import { printReply, printStructured } from '../../output/output.ts'

export const policies: Command = {
  args: [{ name: 'name', isOptional: true, completes: 'policy' }],
  flags: [],
  description:
    'The verb of 2015: lists the policies, or shows one; today postern policy list and read.',
  async run(session) {
    const [name] = session.input.args
    const { terminal } = session
    if (name === undefined) {
      const body = jsonOf(await session.ask('listing policies', 'GET', 'sys/policy')) ?? {}
      const names = texts(body['policies'])
      if (session.format === 'table') terminal.write(names.map((one) => `${one}\n`).join(''))
      else printStructured(session, names)
      return 0
    }
    const reply = await session.askMaybe(`reading policy ${name}`, 'GET', `sys/policy/${name}`)
    const rules = reply && envelopeOf(reply)?.data?.['rules']
    if (typeof rules !== 'string') throw new Failure(`No policy named: ${name}`, { status: 2 })
    terminal.write(`${rules.trimEnd()}\n`)
    return 0
  },
}

export const policyWriteOld: Command = {
  args: [
    { name: 'name', completes: 'policy' },
    { name: 'file', completes: 'file' },
  ],
  flags: [],
  description: 'The verb of 2015; today it is postern policy write.',
  async run(session) {
    const [name = '', file = ''] = session.input.args
    const rules = file === '-' ? await session.terminal.readInput() : readText(file)
    await session.ask('writing policy', 'PUT', `sys/policy/${name}`, { body: { rules } })
    session.terminal.write(`Policy '${name}' written.\n`)
    return 0
  },
}

export const policyDeleteOld: Command = {
  args: [{ name: 'name', completes: 'policy' }],
  flags: [],
  description: 'The verb of 2015; today it is postern policy delete.',
  async run(session) {
    const [name = ''] = session.input.args
    await session.ask('deleting policy', 'DELETE', `sys/policy/${name}`)
    session.terminal.write(`Policy '${name}' deleted.\n`)
    return 0
  },
}

export const renew: Command = {
  args: [{ name: 'lease id' }, { name: 'increment', isOptional: true }],
  flags: [fieldFlag],
  description:
    'The verb of 2015; today it is postern lease renew. INCREMENT is a number of seconds.',
  async run(session) {
    const [id = '', increment = '0'] = session.input.args
    if (!/^[0-9]{1,10}$/.test(increment))
      throw usageFailure(`not a number of seconds: ${increment}`)
    const body = { increment: Number(increment) }
    printReply(session, await session.ask('renewing', 'PUT', `sys/renew/${id}`, { body }))
    return 0
  },
}

export const revoke: Command = {
  args: [{ name: 'lease id' }],
  flags: [
    { name: 'prefix', kind: 'bool', help: 'LEASE ID is a prefix: revokes all leases below it.' },
    { name: 'force', kind: 'bool', help: 'With -prefix: forgets also what can not be undone.' },
  ],
  description: 'The verb of 2015; today it is postern lease revoke.',
  async run(session) {
    const { input } = session
    const [id = ''] = input.args
    const [isForced, isPrefix] = [input.bool('force') === true, input.bool('prefix') === true]
    if (isForced && !isPrefix) throw usageFailure('-force goes with -prefix only')
    const verb = isForced ? 'revoke-force' : isPrefix ? 'revoke-prefix' : 'revoke'
    await session.ask('revoking', 'PUT', `sys/${verb}/${id}`)
    const what = isPrefix ? 'secrets with prefix' : 'secret with ID'
    session.terminal.write(`Success! Revoked the ${what} '${id}', if it existed.\n`)
    return 0
  },
}
