/** A policy as the store keeps it: its text and what the API shows of it, with the parsed form beside. */
import { parsePolicy } from './parse.ts'
import type { Policy } from './policy.ts'

export interface PolicyRecord {
  readonly name: string
  readonly text: string
  /** Counts the writes, from 1. */
  readonly version: number
  readonly casRequired: boolean
  /** RFC 3339. */
  readonly modified: string
  /** RFC 3339; grants nothing from then on. */
  readonly expiration?: string
}

export interface StoredPolicy extends PolicyRecord {
  readonly parsed: Policy
}

export const POLICY_PREFIX = 'cfg/policy/'

export const policyKey = (name: string): string => POLICY_PREFIX + name

export function decodePolicy(value: Uint8Array): StoredPolicy {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
  const record = JSON.parse(text) as PolicyRecord
  return { ...record, parsed: parsePolicy(record.name, record.text) }
}

export function encodePolicy(record: PolicyRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record))
}
