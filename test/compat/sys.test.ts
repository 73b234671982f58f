/** The recorded exchanges about the server itself: health, mounts, keys (contract 2.1 and 2.2). */
import { matchesGlob } from './record.ts'
import { replayGroup } from './replay.ts'
import { startUninitialized, startUnsealed } from './start.ts'

/** Recorded on a server with its store on disk, which had been initialized and unsealed. */
const WITH_STORE = ['sys.*.nondev*', 'sys.rekey.*', 'sys.genroot.*']

const isWithStore = (name: string): boolean => WITH_STORE.some((glob) => matchesGlob(glob, name))

replayGroup({
  group: 'sys',
  title: 'sys.* of a dev server',
  start: startUnsealed,
  only: (name) => !isWithStore(name),
})

replayGroup({
  group: 'sys',
  title: 'sys.* of a server with a store',
  start: startUninitialized,
  only: isWithStore,
  context: ['init.ok', 'unseal.a', 'unseal.b'],
})
