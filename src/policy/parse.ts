/**
 * Policy text, HCL1 or JSON, to a policy (contract 4.1). The error texts are those that clients
 * know.
 */
import { badRequest } from '../errors.ts'
import { blocksOf, type HclBlock, invalidKeys } from '../hcl/block.ts'
import { HclError } from '../hcl/error.ts'
import { parseHcl } from '../hcl/parse.ts'
import type { HclObject } from '../hcl/value.ts'
import { type Capability, capabilityNames, type PathRule, type Policy } from './policy.ts'
import { RuleReader, RuleTextError } from './rule-reader.ts'
import { hasTemplate } from './template.ts'

const TOP_KEYS: ReadonlySet<string> = new Set(['path', 'name'])

const RULE_KEYS: ReadonlySet<string> = new Set([
  'allowed_parameters',
  'capabilities',
  'comment',
  'denied_parameters',
  'expiration',
  'list_scan_response_keys_filter_path',
  'max_wrapping_ttl',
  'mfa_methods',
  'min_wrapping_ttl',
  'pagination_limit',
  'policy',
  'required_parameters',
])

/** Accepted as the family accepts them, and without effect here: whoever writes them is told. */
const IDLE_KEYS = ['list_scan_response_keys_filter_path', 'mfa_methods', 'pagination_limit']

const CAPABILITIES: ReadonlySet<string> = new Set(capabilityNames)

/** The words of the old `policy` key. */
const OLD_POLICIES: ReadonlyMap<string, readonly Capability[]> = new Map([
  ['deny', ['deny']],
  ['read', ['read', 'list']],
  ['write', ['create', 'read', 'update', 'delete', 'list']],
  ['sudo', ['create', 'read', 'update', 'delete', 'list', 'sudo']],
])

/**
 * Parses a policy. The name is taken as it is: callers normalise it. Throws a 400 that begins with
 * `failed to parse policy: `.
 */
export function parsePolicy(name: string, text: string): Policy {
  try {
    const rules: PathRule[] = []
    const warnings = new Set<string>()
    for (const block of pathBlocks(parseHcl(text))) rules.push(parseRule(block, warnings))
    return {
      name,
      rules,
      isRoot: false,
      isTemplated: rules.some((rule) => rule.isTemplated),
      warnings: [...warnings],
    }
  } catch (error) {
    if (!(error instanceof HclError) && !(error instanceof RuleTextError)) throw error
    throw badRequest(`failed to parse policy: ${error.message}`)
  }
}

/** The text of a policy as requests bring it: plain, or the base64 of it. */
export function decodePolicyText(text: string): string {
  const packed = text.replaceAll(/[\r\n]/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(packed) || packed.length % 4 !== 0) return text
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(packed, 'base64'))
  } catch {
    return text
  }
}

function pathBlocks(file: HclObject): HclBlock[] {
  refuseInvalidKeys(invalidKeys(file, TOP_KEYS))
  const blocks: HclBlock[] = []
  for (const entry of file.entries) {
    if (entry.key === 'path') for (const block of blocksOf(entry, 1)) blocks.push(block)
    else if (entry.value.kind !== 'string') throw new HclError(entry, 'name: expected a string')
  }
  return blocks
}

function parseRule(block: HclBlock, warnings: Set<string>): PathRule {
  const label = block.labels[0] ?? ''
  const isTemplated = checkTemplate(label)
  const title = `path ${JSON.stringify(label)}`
  const problems = invalidKeys(block.body, RULE_KEYS)
  refuseInvalidKeys(problems.map((problem) => `${title}: ${problem}`))
  const reader = new RuleReader(title, block.body)
  const path = label.startsWith('/') ? label.slice(1) : label
  const capabilities = readCapabilities(reader)
  if (path.includes('+*')) reader.fail(`invalid use of wildcards ('+*' is forbidden)`)
  const min = reader.duration('min_wrapping_ttl')
  const max = reader.duration('max_wrapping_ttl')
  if (min !== undefined && max !== undefined && max < min) {
    reader.fail('max_wrapping_ttl cannot be less than min_wrapping_ttl')
  }
  reader.string('comment')
  for (const key of IDLE_KEYS) {
    if (reader.has(key)) warnings.add(`${title}: ${JSON.stringify(key)} has no effect`)
  }
  return {
    path,
    isTemplated,
    capabilities,
    allowedParameters: reader.parameters('allowed_parameters'),
    deniedParameters: reader.parameters('denied_parameters'),
    requiredParameters: new Set(
      reader.strings('required_parameters').map((parameter) => parameter.toLowerCase()),
    ),
    minWrappingTtlSeconds: min,
    maxWrappingTtlSeconds: max,
    expiresAt: reader.time('expiration'),
  }
}

function checkTemplate(path: string): boolean {
  try {
    return hasTemplate(path)
  } catch (error) {
    throw new RuleTextError(`failed to validate policy templating: ${(error as Error).message}`)
  }
}

function readCapabilities(reader: RuleReader): Set<Capability> {
  const old = reader.string('policy')
  const capabilities = new Set(old === undefined ? [] : OLD_POLICIES.get(old))
  if (old !== undefined && !OLD_POLICIES.has(old)) {
    reader.fail(`invalid policy ${JSON.stringify(old)}`)
  }
  for (const name of reader.strings('capabilities')) {
    if (!CAPABILITIES.has(name)) reader.fail(`invalid capability ${JSON.stringify(name)}`)
    capabilities.add(name as Capability)
  }
  return capabilities
}

function refuseInvalidKeys(problems: readonly string[]): void {
  if (problems.length === 0) return
  const heading = problems.length === 1 ? '1 error' : `${problems.length} errors`
  const lines = problems.map((problem) => `\t* ${problem}\n`).join('')
  throw new RuleTextError(`${heading} occurred:\n${lines}\n`)
}
