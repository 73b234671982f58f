/** A request's headers as a map with lower-case names, made when somebody first asks: most requests never do. */
import type { IncomingHttpHeaders } from 'node:http'

export class RequestHeaders implements ReadonlyMap<string, string> {
  readonly #source: IncomingHttpHeaders
  #map: Map<string, string> | undefined

  constructor(source: IncomingHttpHeaders) {
    this.#source = source
  }

  #all(): Map<string, string> {
    this.#map ??= read(this.#source)
    return this.#map
  }

  get size(): number {
    return this.#all().size
  }

  get(name: string): string | undefined {
    return this.#all().get(name)
  }

  has(name: string): boolean {
    return this.#all().has(name)
  }

  forEach(visit: (value: string, name: string, map: ReadonlyMap<string, string>) => void): void {
    for (const [name, value] of this.#all()) visit(value, name, this)
  }

  entries(): MapIterator<[string, string]> {
    return this.#all().entries()
  }

  keys(): MapIterator<string> {
    return this.#all().keys()
  }

  values(): MapIterator<string> {
    return this.#all().values()
  }

  [Symbol.iterator](): MapIterator<[string, string]> {
    return this.#all().entries()
  }
}

function read(source: IncomingHttpHeaders): Map<string, string> {
  const map = new Map<string, string>()
  for (const [name, value] of Object.entries(source)) {
    if (value !== undefined) map.set(name, typeof value === 'string' ? value : value.join(', '))
  }
  return map
}
