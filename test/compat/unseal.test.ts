/** The recorded exchanges about unsealing a server (contract 2.1). */
import { replayGroup } from './replay.ts'
import { startUninitialized } from './start.ts'

replayGroup({ group: 'unseal', start: startUninitialized, context: ['init.ok'] })
