/** The `seal` block: key shares that people hold, or a static key for unattended restarts. */
import { isAbsolute } from 'node:path'
import type { HclBlock } from '../hcl/block.ts'
import { BlockReader, type ConfigFile } from './block-reader.ts'
import type { KeySource, SealConfig } from './server-config.ts'

const SOURCE_KEYS = ['current_key', 'key_file', 'credential']
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

export function readSeal(file: ConfigFile, block: HclBlock): SealConfig {
  const type = block.labels[0] ?? ''
  const title = `seal ${JSON.stringify(type)}`
  const settings = type === 'static' ? ['current_key_id', ...SOURCE_KEYS] : []
  if (type === 'shamir' || type === 'static') {
    const reader = new BlockReader(file, title, block.body, { settings })
    return type === 'shamir' ? { type } : readStatic(reader)
  }
  const reader = new BlockReader(file, title, { ...block.body, entries: [] }, { settings })
  return reader.fail('only "shamir" and "static" are offered', block.line)
}

function readStatic(reader: BlockReader): SealConfig {
  const currentKeyId = reader.required('current_key_id', 'a name for the key')
  const given = SOURCE_KEYS.filter((key) => reader.has(key))
  if (given.length !== 1) {
    reader.fail(
      'give the key by one of current_key ("file://…" or "env://…"), key_file, credential',
    )
  }
  return { type: 'static', currentKeyId, currentKey: readSource(reader, given[0] ?? '') }
}

function readSource(reader: BlockReader, key: string): KeySource {
  const text = reader.required(key, 'where the key is')
  if (key === 'credential') {
    if (!NAME.test(text)) reader.failAt(key, 'is not what is expected: the name of a credential')
    return { from: 'credential', name: text }
  }
  if (key === 'current_key' && text.startsWith('env://')) {
    const name = text.slice('env://'.length)
    if (!NAME.test(name)) reader.failAt(key, 'is not what is expected: env://NAME')
    return { from: 'env', name }
  }
  const isUrl = key === 'current_key'
  const path = isUrl && text.startsWith('file://') ? text.slice('file://'.length) : text
  if ((isUrl && !text.startsWith('file://')) || !isAbsolute(path)) {
    // A key in the config file itself would be in backups and configuration management.
    const expected = isUrl ? '"file:///path" or "env://NAME"' : 'an absolute path'
    reader.failAt(key, `is not what is expected: ${expected}`)
  }
  return { from: 'file', path }
}
