/** `write`: data to an API path (contract 8.2). Values of pairs are strings; JSON comes through `-` or `@file`. */
import type { Command } from '../declaration/command.ts'
import { fieldFlag, wrapFlag } from '../declaration/common-flags.ts'
import { readPairs, secretKey } from '../declaration/pairs.ts'
import { usageFailure } from '../failure.ts'
import { printReply, say, warnOfSecret } from '../output/output.ts'

export const write: Command = {
  args: [
    { name: 'path', completes: 'path' },
    { name: 'data', isOptional: true, isRest: true, completes: 'file' },
  ],
  flags: [
    fieldFlag,
    wrapFlag,
    { name: 'force', kind: 'bool', aliases: ['f'], help: 'Writes even without data.' },
  ],
  description:
    'DATA is key=value, key=@file, key=- (standard input), @file or - (a JSON object).\n' +
    'Lists and maps need the JSON form.',
  examples: [
    'postern write ssh/roles/otp key_type=otp default_user=ubuntu cidr_list=10.0.0.0/8',
    'postern write -field=signed_key ssh/sign/web public_key=@id_ed25519.pub',
    `echo '{"default_extensions": {"permit-pty": ""}}' | postern write ssh/roles/web -`,
  ],
  async run(session) {
    const [path = '', ...words] = session.input.args
    const target = path.replace(/^\/+/, '')
    if (words.length === 0 && session.input.bool('force') !== true) {
      throw usageFailure('nothing to write', 'name data as key=value, or say -force')
    }
    for (const word of words) {
      const key = secretKey(word)
      if (key !== undefined) {
        warnOfSecret(
          session,
          key,
          `${key}=- reads it from standard input, ${key}=@FILE from a file`,
        )
      }
    }
    const body = await readPairs(words, () => session.terminal.readInput())
    const reply = await session.ask(`writing data to ${target}`, 'PUT', target, { body })
    if (reply.text === '') {
      say(session, `Success! Data written to: ${target}`)
    } else {
      printReply(session, reply)
    }
    return 0
  },
}
