/** The recorded exchanges about enabling and disabling auth methods (contract 2.2). */
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({ group: 'auth', start: startUnsealed })
