/** The recorded exchange about stepping down where there is nothing to lead (contract 2.1). */
import { replayGroup } from './replay.ts'
import { startUninitialized } from './start.ts'

replayGroup({
  group: 'step_down',
  start: startUninitialized,
  context: ['init.ok', 'unseal.a', 'unseal.b'],
})
