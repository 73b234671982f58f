/** `print token` and `version`. */
import { version as ownVersion } from '../../client/version.ts'
import type { Command, LocalCommand } from '../declaration/command.ts'
import { Failure } from '../failure.ts'

export const printToken: Command = {
  args: [],
  flags: [],
  description: 'For scripts: "X-Vault-Token: $(postern print token)".',
  async run({ token, terminal }) {
    if (token === undefined) {
      throw new Failure('postern: there is no token', { hint: 'postern login gets one' })
    }
    terminal.write(`${token.reveal()}\n`)
    return 0
  },
}

export const version: LocalCommand = {
  isLocal: true,
  args: [],
  flags: [],
  description: 'The version that servers report is that of the API, with this one behind it.',
  async run(_input, terminal) {
    terminal.write(`Postern v${ownVersion}\n`)
    return 0
  },
}
