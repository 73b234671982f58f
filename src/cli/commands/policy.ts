/** `policy write`, `read`, `list`, `delete` and `fmt` (contract 8.2, 2.3). */
import { writeFileSync } from 'node:fs'
import { envelopeOf, texts } from '../../client/reply.ts'
import type { Command, LocalCommand } from '../declaration/command.ts'
import { readText } from '../declaration/pairs.ts'
import { Failure, usageFailure } from '../failure.ts'
import { printReply, printStructured, say, warn } from '../output/output.ts'

const BASE = 'sys/policies/acl'

export const policyWrite: Command = {
  args: [
    { name: 'name', completes: 'policy' },
    { name: 'file', completes: 'file' },
  ],
  flags: [],
  description: 'FILE holds the policy in HCL or JSON; - is standard input.',
  examples: ['postern policy write developer developer.hcl'],
  async run(session) {
    const [name = '', file = ''] = session.input.args
    const policy = file === '-' ? await session.terminal.readInput() : readText(file)
    const reply = await session.ask('uploading policy', 'PUT', `${BASE}/${name}`, {
      body: { policy },
    })
    for (const text of envelopeOf(reply)?.warnings ?? []) warn(session, text)
    say(session, `Success! Uploaded policy: ${name.trim().toLowerCase()}`)
    return 0
  },
}

export const policyRead: Command = {
  args: [{ name: 'name', completes: 'policy' }],
  flags: [],
  description: '',
  examples: ['postern policy read default'],
  async run(session) {
    const [name = ''] = session.input.args
    const reply = await session.askMaybe(`reading policy named ${name}`, 'GET', `${BASE}/${name}`)
    const policy = reply && envelopeOf(reply)?.data?.['policy']
    if (reply === undefined || typeof policy !== 'string') {
      throw new Failure(`No policy named: ${name}`, { status: 2 })
    }
    if (session.format === 'table') session.terminal.write(`${policy.trimEnd()}\n`)
    else printReply(session, reply)
    return 0
  },
}

export const policyList: Command = {
  args: [],
  flags: [],
  description: '',
  async run(session) {
    const query = new Map([['list', ['true']]])
    const reply = await session.ask('listing policies', 'GET', BASE, { query })
    const names = texts(envelopeOf(reply)?.data?.['keys'])
    if (session.format === 'table')
      session.terminal.write(names.map((name) => `${name}\n`).join(''))
    else printStructured(session, names)
    return 0
  },
}

export const policyDelete: Command = {
  args: [{ name: 'name', completes: 'policy' }],
  flags: [],
  description: 'Tokens that have the policy lose what it allowed at once.',
  async run(session) {
    const [name = ''] = session.input.args
    await session.ask(`deleting ${name}`, 'DELETE', `${BASE}/${name}`)
    say(session, `Success! Deleted policy: ${name}`)
    return 0
  },
}

export const policyFmt: LocalCommand = {
  isLocal: true,
  args: [{ name: 'file', completes: 'file' }],
  flags: [],
  description: 'Rewrites FILE; comments stay. - formats standard input to standard output.',
  async run({ args: [file = ''] }, terminal) {
    const text = file === '-' ? await terminal.readInput() : readText(file)
    const { formatHcl } = await import('../hcl-format.ts')
    let formatted: string
    try {
      formatted = formatHcl(text)
    } catch (error) {
      throw usageFailure(`${file}: ${(error as Error).message}`)
    }
    if (file === '-') {
      terminal.write(formatted)
      return 0
    }
    if (formatted !== text) writeFileSync(file, formatted)
    terminal.write(`Success! Formatted policy: ${file}\n`)
    return 0
  },
}
