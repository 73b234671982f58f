/** The recorded exchanges about random bytes and hashes (contract 2.7). */
import { replayGroup } from './replay.ts'
import { startUnsealed } from './start.ts'

replayGroup({ group: 'tools', start: startUnsealed })
