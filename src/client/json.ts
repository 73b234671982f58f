/** JSON of the API: numbers that a double can't hold keep their text, so that they come out as they came in. */

/** A number kept as its text; `JSON.stringify` writes it as it was. */
export interface BigNumber {
  readonly rawJSON: string
}

export type Json = null | boolean | string | number | BigNumber | Json[] | { [key: string]: Json }

export type JsonObject = { [key: string]: Json }

const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): BigNumber
  isRawJSON(value: unknown): value is BigNumber
}

/** The value of a JSON text, or undefined for text that is not JSON. A key `__proto__` is dropped. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text, revive)
  } catch {
    return undefined
  }
}

function revive(key: string, value: unknown, context?: { source?: string }): unknown {
  if (key === '__proto__') return undefined
  if (typeof value !== 'number' || context?.source === undefined) return value
  return String(value) === context.source ? value : rawJSON(context.source)
}

export function isBigNumber(value: unknown): value is BigNumber {
  return isRawJSON(value)
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isBigNumber(value)
}

/** The text at a key, or undefined where there is another type or nothing. */
export function textAt(object: JsonObject, key: string): string | undefined {
  const value = Object.hasOwn(object, key) ? object[key] : undefined
  return typeof value === 'string' ? value : undefined
}
