/** The recorded exchanges about sealing a server (contract 2.1). */
import { replayGroup } from './replay.ts'
import { startUninitialized } from './start.ts'

replayGroup({
  group: 'seal',
  start: startUninitialized,
  context: ['init.ok', 'unseal.a', 'unseal.b'],
})
