/** The recorded exchanges about initializing a server (contract 2.1). */
import { replayGroup } from './replay.ts'
import { startUninitialized } from './start.ts'

replayGroup({ group: 'init', start: startUninitialized })
