/** The verbs of 2015 for operators: `init`, `seal`, `unseal`, `key-status`, `audit-enable`, `audit-disable` (contract 8.2). */
import { texts } from '../../../client/reply.ts'
import type { Command } from '../../declaration/command.ts'
import { goText } from '../../output/go-text.ts'
import { printStructured } from '../../output/output.ts'
import { auditDisable, auditEnable, enableAudit } from '../audit.ts'
import { initialize, operatorInit } from '../operator/init.ts'
import { readKeyStatus } from '../operator/rotate.ts'
import { operatorUnseal, unseal } from '../operator/seal.ts'

export const init: Command = {
  ...operatorInit,
  description: 'The verb of 2015; today it is postern operator init.',
  examples: [],
  async run(session) {
    if (session.input.bool('status') || session.format !== 'table') {
      return await operatorInit.run(session)
    }
    const { shares, threshold, answer } = await initialize(session)
    const keys = texts(answer['keys_base64']).map((key, index) => `Key ${index + 1}: ${key}\n`)
    session.terminal.write(
      `${keys.join('')}Initial Root Token: ${goText(answer['root_token'])}\n\n` +
        `Vault initialized with ${shares} keys and a key threshold of ${threshold}. Give the keys to\n` +
        `different people: ${threshold} of them unseal the server after each start, and they can't be shown again.\n`,
    )
    return 0
  },
}

export const seal: Command = {
  args: [],
  flags: [],
  description: 'The verb of 2015; today it is postern operator seal.',
  async run(session) {
    await session.ask('sealing', 'PUT', 'sys/seal')
    session.terminal.write('Vault is now sealed.\n')
    return 0
  },
}

export const unsealOld: Command = {
  ...operatorUnseal,
  description: 'The verb of 2015; today it is postern operator unseal.',
  async run(session) {
    const state = await unseal(session)
    if (session.format !== 'table') {
      printStructured(session, state)
      return 0
    }
    session.terminal.write(
      `Sealed: ${goText(state['sealed'])}\nKey Shares: ${goText(state['n'])}\n` +
        `Key Threshold: ${goText(state['t'])}\nUnseal Progress: ${goText(state['progress'])}\n`,
    )
    return 0
  },
}

export const keyStatus: Command = {
  args: [],
  flags: [],
  description: 'The verb of 2015; today it is postern operator key-status.',
  async run(session) {
    const status = await readKeyStatus(session)
    session.terminal.write(
      `Key Term: ${goText(status['term'])}\nInstallation Time: ${goText(status['install_time'])}\n`,
    )
    return 0
  },
}

export const auditEnableOld: Command = {
  ...auditEnable,
  description: 'The verb of 2015; today it is postern audit enable.',
  examples: [],
  async run(session) {
    const { type, path } = await enableAudit(session)
    const place = path === type ? '' : ` with path '${path}'`
    session.terminal.write(`Successfully enabled audit backend '${type}'${place}!\n`)
    return 0
  },
}

export const auditDisableOld: Command = {
  ...auditDisable,
  description: 'The verb of 2015; today it is postern audit disable.',
  async run(session) {
    const path = (session.input.args[0] ?? '').replace(/^\/+|\/+$/g, '')
    await session.ask('disabling audit device', 'DELETE', `sys/audit/${path}`)
    session.terminal.write(`Successfully disabled audit backend '${path}' if it was enabled\n`)
    return 0
  },
}
