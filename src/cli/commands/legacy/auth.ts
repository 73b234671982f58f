/** The verbs of 2015 for logins and tokens: `auth`, `auth-enable`, `auth-disable`, `token-revoke` (contract 8.2). */
import { isObject } from '../../../client/json.ts'
import { jsonOf, texts } from '../../../client/reply.ts'
import type { Command } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { goText } from '../../output/go-text.ts'
import { printReply } from '../../output/output.ts'
import { keep, logIn, methodFlags } from '../login.ts'
import { mountPath, pathFlag } from '../mount/kind.ts'
import { authList } from '../mount/mounts.ts'
import { revokeToken, tokenRevoke } from '../token.ts'

export const auth: Command = {
  args: [{ name: 'token or key=value', isOptional: true, isRest: true }],
  flags: [
    ...methodFlags,
    { name: 'methods', kind: 'bool', help: 'Lists the auth methods instead.' },
  ],
  description: 'The verb of 2015; today it is postern login.',
  async run(session) {
    if (session.input.bool('methods')) return await authList.run(session)
    const { reply, token } = await logIn(session)
    if (token === undefined) {
      // Wrapped: the token is for whoever unwraps it.
      printReply(session, reply)
      return 0
    }
    await keep(session, token)
    const answer = jsonOf(reply)?.['auth']
    const given = isObject(answer) ? answer : {}
    session.terminal.write(
      'Successfully authenticated! You are now logged in.\n' +
        `token: ${goText(given['client_token'])}\n` +
        `token_duration: ${goText(given['lease_duration'])}\n` +
        `token_policies: [${texts(given['policies']).join(', ')}]\n`,
    )
    return 0
  },
}

export const authEnable: Command = {
  args: [{ name: 'type' }],
  flags: [pathFlag, textFlag('description', 'text', 'For people.')],
  description: 'The verb of 2015; today it is postern auth enable.',
  async run(session) {
    const { input, terminal } = session
    const [type = ''] = input.args
    const path = mountPath(input.text('path') ?? type).slice(0, -1)
    const body = { type, description: input.text('description') ?? '' }
    await session.ask('enabling', 'POST', `sys/auth/${path}`, { body })
    terminal.write(`Successfully enabled '${type}' at '${path}'!\n`)
    return 0
  },
}

export const authDisable: Command = {
  args: [{ name: 'path', completes: 'auth' }],
  flags: [],
  description: 'The verb of 2015; today it is postern auth disable.',
  async run(session) {
    const path = mountPath(session.input.args[0]).slice(0, -1)
    await session.ask('disabling', 'DELETE', `sys/auth/${path}`)
    session.terminal.write(`Disabled auth provider at path '${path}' if it was enabled\n`)
    return 0
  },
}

export const tokenRevokeOld: Command = {
  ...tokenRevoke,
  description: 'The verb of 2015; today it is postern token revoke.',
  examples: [],
  async run(session) {
    await revokeToken(session)
    session.terminal.write('Success! Token revoked if it existed.\n')
    return 0
  },
}
