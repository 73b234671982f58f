/** `npm run build`: the programs in `dist/`, which `bin/` starts with Node's compile cache. */
import { rmSync } from 'node:fs'
import path from 'node:path'
import { bundlePrograms } from './bundle.ts'

const dist = path.resolve(import.meta.dirname, '../dist')
rmSync(dist, { recursive: true, force: true })
await bundlePrograms(dist, 'files')
