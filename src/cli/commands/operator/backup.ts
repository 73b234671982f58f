/**
 * `operator backup` and `operator restore` (protocols 1.10): the store's own file, still sealed, without
 * asking the server.
 */
import type { Command } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { Failure, usageFailure } from '../../failure.ts'
import { say } from '../../output/output.ts'

export const operatorBackup: Command = {
  args: [{ name: 'file' }],
  flags: [textFlag('store', 'file', 'The SQLite file of the server.')],
  description:
    'Works while the server runs, on the machine that has its store. The copy is sealed as the store is.',
  examples: ['postern operator backup -store=/var/lib/postern/postern.db backup.db'],
  async run(session) {
    const [target = ''] = session.input.args
    const store = session.input.text('store')
    if (store === undefined) throw usageFailure('no store named', 'say -store=FILE')
    const { backupStore } = await import('../../../index.ts')
    await told('backing up', () => backupStore(store, target))
    say(session, `Success! Backed up ${store} to ${target}`)
    return 0
  },
}

export const operatorRestore: Command = {
  args: [{ name: 'file' }],
  flags: [
    textFlag('store', 'file', 'Where the SQLite file of the server goes.'),
    {
      name: 'keep-tokens',
      kind: 'bool',
      help: 'Leaves tokens of the backup valid, those revoked since among them.',
    },
    textFlag('keep-accessor', 'accessor', 'Leaves the one token of this accessor valid.'),
  ],
  description:
    'The server has to be stopped. FILE is checked before anything is replaced, and what was there is kept.',
  examples: ['postern operator restore -store=/var/lib/postern/postern.db backup.db'],
  async run(session) {
    const [source = ''] = session.input.args
    const store = session.input.text('store')
    if (store === undefined) throw usageFailure('no store named', 'say -store=FILE')
    const keepTokens = session.input.bool('keep-tokens') ?? false
    const { restoreStore } = await import('../../../index.ts')
    const replaced = await told('restoring', () =>
      restoreStore(source, store, {
        keepTokens,
        keepAccessor: session.input.text('keep-accessor'),
      }),
    )
    say(session, `Success! Restored ${store} from ${source}`)
    if (replaced !== undefined) say(session, `What was there before is kept as ${replaced}`)
    return 0
  },
}

async function told<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw new Failure(`Error ${doing}: ${(error as Error).message}`)
  }
}
