/** The `audit` blocks: devices that are there from the start (contract 10.2). */
import type { HclBlock } from '../hcl/block.ts'
import { BlockReader, type ConfigFile } from './block-reader.ts'
import type { AuditDeviceConfig } from './server-config.ts'
import { nearestName } from './suggestion.ts'

const TYPES = ['file', 'stdout']

const OPTIONS = [
  'elide_list_responses',
  'file_path',
  'format',
  'hmac_accessor',
  'log_raw',
  'mode',
  'path',
  'prefix',
  'sync',
]

/** Throws `invalid_config`. What an option's value means is the device's own business. */
export function readAuditDevice(file: ConfigFile, block: HclBlock): AuditDeviceConfig {
  const [type = '', name = ''] = block.labels
  const title = `audit ${JSON.stringify(type)} ${JSON.stringify(name)}`
  const keys = { settings: ['description', 'options'], idle: ['local'] }
  const reader = new BlockReader(file, title, block.body, keys)
  if (!TYPES.includes(type)) reader.fail(`only ${TYPES.join(' and ')} are offered`, block.line)
  const path = name.endsWith('/') ? name : `${name}/`
  if (!/^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*\/)+$/.test(path))
    reader.fail('the second label has to be a path', block.line)
  const options = reader.texts('options')
  for (const option of options.keys()) checkOption(reader, option)
  if (type === 'file' && !options.has('file_path') && !options.has('path')) {
    reader.fail('options need "file_path"')
  }
  return { type, path, description: reader.string('description') ?? '', options }
}

function checkOption(reader: BlockReader, option: string): void {
  if (OPTIONS.includes(option)) return
  const nearest = nearestName(option, OPTIONS)
  const hint = nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest)}?`
  reader.failAt('options', `has no option ${JSON.stringify(option)}${hint}`)
}
