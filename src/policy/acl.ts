/**
 * What a set of policies allows (contract 4.2, 2.4). Compiled once for a set of policies and
 * immutable, so that it can be cached; a decision is a few Map look-ups.
 */
import { type MergedRule, RuleMerger } from './merge.ts'
import { parametersAllowed } from './parameters.ts'
import {
  compareSpecificity,
  matchesRest,
  type Pattern,
  parsePattern,
  reachesInto,
} from './pattern.ts'
import type { Capability, Policy } from './policy.ts'
import { fillTemplate, type ResolveTemplate } from './template.ts'

/** What a request asks for; writes are already told apart into `create` and `update`. */
export type AclOperation = Exclude<Capability, 'deny' | 'sudo'> | 'help'

export interface AclRequest {
  readonly operation: AclOperation
  /** Canonical; lists may end in `/`. */
  readonly path: string
  /** Body and query as one map, before coercion. */
  readonly parameters?: ReadonlyMap<string, unknown>
  /** Undefined (or 0) when no wrapping is asked for. */
  readonly wrapTtlSeconds?: number | undefined
}

export interface Decision {
  readonly allowed: boolean
  /** The caller has `sudo` on this very path, as root-protected paths demand beside `allowed`. */
  readonly hasSudo: boolean
  readonly isRoot: boolean
  /** The policies that give the operation on this path; empty when it is not allowed. */
  readonly grantingPolicies: readonly string[]
}

export interface CompileOptions {
  /** Milliseconds since the epoch: rules that have expired are left out. */
  readonly now: number
  /** Without it every rule with a template is skipped. */
  readonly resolveTemplate?: ResolveTemplate
}

interface CompiledRule {
  readonly pattern: Pattern
  readonly rule: MergedRule
  readonly capabilities: readonly string[]
}

const ROOT: Decision = { allowed: true, hasSudo: true, isRoot: true, grantingPolicies: ['root'] }
const HELP: Decision = { allowed: true, hasSudo: false, isRoot: false, grantingPolicies: [] }
const DENIED: Decision = { allowed: false, hasSudo: false, isRoot: false, grantingPolicies: [] }

const PARAMETER_OPERATIONS: ReadonlySet<AclOperation> = new Set([
  'read',
  'create',
  'update',
  'patch',
])

export class Acl {
  /** Everything is allowed. */
  readonly isRoot: boolean
  /**
   * Milliseconds since the epoch from when a rule has expired and the policies must be compiled
   * again.
   */
  readonly validUntil: number | undefined
  readonly #exact = new Map<string, CompiledRule>()
  readonly #byHead = new Map<string, CompiledRule[]>()
  /**
   * Lengths of the heads, longest first: the pattern whose first wildcard stands latest decides.
   */
  readonly #headLengths: readonly number[]

  constructor(isRoot: boolean, rules: Iterable<MergedRule>, validUntil?: number) {
    this.isRoot = isRoot
    this.validUntil = validUntil
    for (const rule of rules) {
      const compiled = compileRule(rule)
      const { head, isExact } = compiled.pattern
      if (isExact) this.#exact.set(head, compiled)
      else {
        const sameHead = this.#byHead.get(head)
        if (sameHead === undefined) this.#byHead.set(head, [compiled])
        else sameHead.push(compiled)
      }
    }
    for (const compiled of this.#byHead.values()) {
      compiled.sort((one, other) => compareSpecificity(one.pattern, other.pattern))
    }
    const lengths = new Set(Array.from(this.#byHead.keys(), (head) => head.length))
    this.#headLengths = [...lengths].sort((one, other) => other - one)
  }

  /** Decides one request. `help` needs no capability, only a valid token. */
  decide(request: AclRequest): Decision {
    if (this.isRoot) return ROOT
    const { operation, path } = request
    if (operation === 'help') return HELP
    const rule = this.#find(path, operation === 'list' || operation === 'scan')?.rule
    if (rule === undefined || rule.isDenied) return DENIED
    const hasSudo = rule.grants.has('sudo')
    const grantingPolicies = rule.grants.get(operation)
    if (grantingPolicies === undefined || !conditionsHold(rule, request)) {
      return hasSudo ? { ...DENIED, hasSudo } : DENIED
    }
    return { allowed: true, hasSudo, isRoot: false, grantingPolicies }
  }

  /**
   * The capabilities on a path, sorted: `["root"]` for root, `["deny"]` for none. The path counts
   * as a list.
   */
  capabilities(path: string): string[] {
    if (this.isRoot) return ['root']
    return [...(this.#find(path, true)?.capabilities ?? ['deny'])]
  }

  /** Whether any rule gives anything on some path under a folder (`ssh/`). */
  reachesInto(folder: string): boolean {
    return (
      this.isRoot ||
      this.#all().some(({ pattern, rule }) => rule.grants.size > 0 && reachesInto(pattern, folder))
    )
  }

  /** The merged rules, for showing them. */
  rules(): readonly MergedRule[] {
    return this.#all().map(({ rule }) => rule)
  }

  #all(): CompiledRule[] {
    return [...this.#exact.values(), ...[...this.#byHead.values()].flat()]
  }

  #find(path: string, isList: boolean): CompiledRule | undefined {
    const exact = this.#exact.get(path)
    if (exact !== undefined) return exact
    if (isList && path.endsWith('/')) {
      const folder = this.#exact.get(path.slice(0, -1))
      if (folder !== undefined) return folder
    }
    for (const length of this.#headLengths) {
      if (length > path.length) continue
      const candidates = this.#byHead.get(path.slice(0, length))
      const found = candidates?.find(({ pattern }) => matchesRest(pattern, path))
      if (found !== undefined) return found
    }
    return undefined
  }
}

/**
 * Merges the rules of policies into one Acl. Throws a TypeError when the root policy is not alone:
 * no token may have it beside others.
 */
export function compileAcl(policies: readonly Policy[], options: CompileOptions): Acl {
  const isRoot = policies.some((policy) => policy.isRoot)
  if (isRoot && policies.length > 1) throw new TypeError('the root policy stands alone')
  const mergers = new Map<string, RuleMerger>()
  let validUntil: number | undefined
  for (const policy of policies) {
    for (const rule of policy.rules) {
      if (rule.expiresAt !== undefined) {
        if (rule.expiresAt <= options.now) continue
        validUntil = Math.min(validUntil ?? rule.expiresAt, rule.expiresAt)
      }
      const path = rule.isTemplated
        ? fillTemplate(rule.path, options.resolveTemplate ?? (() => undefined))
        : rule.path
      if (path === undefined) continue
      const merger = mergers.get(path) ?? new RuleMerger(path)
      mergers.set(path, merger)
      merger.add(rule, policy.name)
    }
  }
  const rules = Array.from(mergers.values(), (merger) => merger.result())
  return new Acl(isRoot, rules, validUntil)
}

function compileRule(rule: MergedRule): CompiledRule {
  const names = [...rule.grants.keys()].sort()
  return {
    pattern: parsePattern(rule.path),
    rule,
    capabilities: names.length === 0 ? ['deny'] : names,
  }
}

function conditionsHold(rule: MergedRule, request: AclRequest): boolean {
  const { minWrappingTtlSeconds: min, maxWrappingTtlSeconds: max } = rule
  if (min !== undefined || max !== undefined) {
    const wrapTtl = request.wrapTtlSeconds ?? 0
    if (wrapTtl <= 0 || wrapTtl < (min ?? 0) || wrapTtl > (max ?? Infinity)) return false
  }
  if (!PARAMETER_OPERATIONS.has(request.operation)) return true
  return parametersAllowed(rule, request.parameters ?? new Map())
}
