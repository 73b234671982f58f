/** Tags of hosts in the form `key=value` (protocols 5.2). */
import { isTagKey, isTagValue } from '../../../ssh/scoped-name.ts'

/** Key and value; undefined for anything that is no tag. */
export function parseTag(text: string): readonly [key: string, value: string] | undefined {
  const at = text.indexOf('=')
  const [key, value] = [text.slice(0, at), text.slice(at + 1)]
  return at > 0 && isTagKey(key) && isTagValue(value) ? [key, value] : undefined
}
