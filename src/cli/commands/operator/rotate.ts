/** `operator rotate`, `operator key-status` and `operator step-down` (contract 8.2, 2.1). */
import { isObject, type JsonObject } from '../../../client/json.ts'
import { jsonOf } from '../../../client/reply.ts'
import type { Command } from '../../declaration/command.ts'
import { goText } from '../../output/go-text.ts'
import { printRows, printStructured, say } from '../../output/output.ts'
import type { Session } from '../../session.ts'

export const operatorRotate: Command = {
  args: [],
  flags: [],
  description: 'What is stored from then on is encrypted with the new key; older keys stay in use.',
  async run(session) {
    await session.ask('rotating key', 'PUT', 'sys/rotate')
    say(session, 'Success! Rotated key\n')
    return showKeyStatus(session, await readKeyStatus(session))
  },
}

export const operatorKeyStatus: Command = {
  args: [],
  flags: [],
  description: '',
  async run(session) {
    return showKeyStatus(session, await readKeyStatus(session))
  },
}

/** The term of the encryption key, when it began, and how often it was used. */
export async function readKeyStatus(session: Session): Promise<JsonObject> {
  const body = jsonOf(await session.ask('reading key status', 'GET', 'sys/key-status')) ?? {}
  return isObject(body['data']) ? body['data'] : body
}

function showKeyStatus(session: Session, status: JsonObject): number {
  if (session.format !== 'table') {
    printStructured(session, status)
    return 0
  }
  printRows(session, [
    ['Key Term', goText(status['term'])],
    ['Install Time', goText(status['install_time'])],
    ['Encryption Count', goText(status['encryptions'])],
  ])
  return 0
}

export const operatorStepDown: Command = {
  args: [],
  flags: [],
  description: 'Has another server of a cluster take over; a single one stays active.',
  async run(session) {
    await session.ask('stepping down', 'PUT', 'sys/step-down')
    say(session, 'Success! Stepped down')
    return 0
  },
}
