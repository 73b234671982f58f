/** JSON whose numbers come out as they went in: for data that only passes through (contract 1, trap 10). */

interface RawJson {
  rawJSON(text: string): unknown
}

/** Parses JSON text; every number keeps its digits and prints them again. */
export function parseExactJson(text: string): unknown {
  const { rawJSON } = JSON as unknown as RawJson
  const revive = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? rawJSON(context.source) : value
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown)
}
