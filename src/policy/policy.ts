/**
 * What a policy says, once parsed (contract 4): rules for paths, each with capabilities and
 * conditions.
 */

export const capabilityNames = [
  'create',
  'delete',
  'deny',
  'list',
  'patch',
  'read',
  'scan',
  'sudo',
  'update',
] as const

export type Capability = (typeof capabilityNames)[number]

/**
 * Lower-case parameter names to the values that are meant; an empty list means any value. Objects
 * are Maps.
 */
export type ParameterRules = ReadonlyMap<string, readonly unknown[]>

/** Conditions that a request has to meet beside its operation. A TTL of undefined is no bound. */
export interface Conditions {
  readonly allowedParameters: ParameterRules
  readonly deniedParameters: ParameterRules
  readonly requiredParameters: ReadonlySet<string>
  readonly minWrappingTtlSeconds: number | undefined
  readonly maxWrappingTtlSeconds: number | undefined
}

export interface PathRule extends Conditions {
  /** Without a leading slash; may hold `+` segments, a final `*` and templates. */
  readonly path: string
  readonly isTemplated: boolean
  /** With `deny` among them nothing else counts. */
  readonly capabilities: ReadonlySet<Capability>
  /** Milliseconds since the epoch, from when the rule is gone. */
  readonly expiresAt: number | undefined
}

export interface Policy {
  readonly name: string
  readonly rules: readonly PathRule[]
  /** Only of the built-in root policy: everything is allowed. */
  readonly isRoot: boolean
  /** Some path has a template: what the policy means depends on who asks. */
  readonly isTemplated: boolean
  /** Parts that are accepted and have no effect here, in words for the policy's writer. */
  readonly warnings: readonly string[]
}
