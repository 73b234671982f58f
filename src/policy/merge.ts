/**
 * Several policies' rules for one path text become one (contract 4.2): what decides a request is
 * always a single rule.
 */
import type { Capability, Conditions, ParameterRules, PathRule } from './policy.ts'

export type GrantedCapability = Exclude<Capability, 'deny'>

export interface MergedRule extends Conditions {
  readonly path: string
  /** A denied path grants nothing and has no conditions. */
  readonly isDenied: boolean
  /** Each capability with the names of the policies that give it. */
  readonly grants: ReadonlyMap<GrantedCapability, readonly string[]>
}

/**
 * Collects values by lower-case name; an empty list, which means any value, stays or becomes the
 * whole list.
 */
export class ParameterCollector {
  readonly #values = new Map<string, Set<unknown>>()

  add(name: string, values: readonly unknown[]): void {
    const key = name.toLowerCase()
    const known = this.#values.get(key)
    if (known === undefined) this.#values.set(key, new Set(values))
    else if (values.length === 0) known.clear()
    else if (known.size > 0) for (const value of values) known.add(value)
  }

  addAll(rules: ParameterRules): void {
    for (const [name, values] of rules) this.add(name, values)
  }

  result(): ParameterRules {
    return new Map(Array.from(this.#values, ([name, values]) => [name, [...values]]))
  }
}

/**
 * Adds up the rules of one path: capabilities united, the smallest bounds, any deny wins and clears
 * the rest.
 */
export class RuleMerger {
  readonly #path: string
  readonly #grants = new Map<GrantedCapability, Set<string>>()
  readonly #allowed = new ParameterCollector()
  readonly #denied = new ParameterCollector()
  readonly #required = new Set<string>()
  #isDenied = false
  #minWrappingTtl: number | undefined
  #maxWrappingTtl: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  add(rule: PathRule, policyName: string): void {
    for (const capability of rule.capabilities) {
      if (capability === 'deny') {
        this.#isDenied = true
        return
      }
      const names = this.#grants.get(capability)
      if (names === undefined) this.#grants.set(capability, new Set([policyName]))
      else names.add(policyName)
    }
    this.#allowed.addAll(rule.allowedParameters)
    this.#denied.addAll(rule.deniedParameters)
    for (const name of rule.requiredParameters) this.#required.add(name)
    this.#minWrappingTtl = smaller(this.#minWrappingTtl, rule.minWrappingTtlSeconds)
    this.#maxWrappingTtl = smaller(this.#maxWrappingTtl, rule.maxWrappingTtlSeconds)
  }

  result(): MergedRule {
    if (this.#isDenied) return deniedRule(this.#path)
    return {
      path: this.#path,
      isDenied: false,
      grants: new Map(Array.from(this.#grants, ([name, policies]) => [name, [...policies]])),
      allowedParameters: this.#allowed.result(),
      deniedParameters: this.#denied.result(),
      requiredParameters: this.#required,
      minWrappingTtlSeconds: this.#minWrappingTtl,
      maxWrappingTtlSeconds: this.#maxWrappingTtl,
    }
  }
}

function deniedRule(path: string): MergedRule {
  return {
    path,
    isDenied: true,
    grants: new Map(),
    allowedParameters: new Map(),
    deniedParameters: new Map(),
    requiredParameters: new Set(),
    minWrappingTtlSeconds: undefined,
    maxWrappingTtlSeconds: undefined,
  }
}

function smaller(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}
