/** The recorded exchanges about the storage that each token has for itself (contract 4.2). */
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({ group: 'cubbyhole', start: startUnsealed })
