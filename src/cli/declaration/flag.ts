/** How most flags are declared. */
import type { Flag } from './command.ts'

/** Takes one text; `value` is what help calls it, `a|b` where those are all there are. */
export function textFlag(name: string, value: string, help: string): Flag {
  return { name, kind: 'text', value, help }
}

/** May be given several times. */
export function listFlag(name: string, value: string, help: string): Flag {
  return { name, kind: 'list', value, help }
}
