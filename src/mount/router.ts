/** Finds the declared path of a backend that a request names. Patterns are compiled once, when the server starts. */
import type { Operation } from './operation.ts'
import type { NamePattern, Path } from './path.ts'
import { namePatterns } from './path.ts'

const MAX_NAME_CHARACTERS = 512

export interface Match {
  readonly path: Path
  /** What the names in the pattern stand for. */
  readonly names: ReadonlyMap<string, string>
}

/** A path as policies judge it: names that mean the same in capitals stand in small letters. `rest` is its end. */
export function judgedPath({ path, names }: Match, requestPath: string, rest: string): string {
  if (!path.foldsCase) return requestPath
  const folded = new Map(
    path.foldsCase.map((name) => [names.get(name), asciiLowerCase(names.get(name) ?? '')]),
  )
  const judged = rest.split('/').map((segment) => folded.get(segment) ?? segment)
  return requestPath.slice(0, requestPath.length - rest.length) + judged.join('/')
}

function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
}

interface Segment {
  readonly literal?: string
  readonly name?: string
  readonly spelling?: RegExp
}

interface Compiled {
  readonly path: Path
  readonly segments: readonly Segment[]
  /** Index of the name that takes all segments that the others leave; -1 for none. */
  readonly restAt: number
  readonly lists: boolean
}

const NO_NAMES: ReadonlyMap<string, string> = new Map()

export class Router {
  readonly #byFirst = new Map<string, Compiled[]>()
  readonly #anyFirst: Compiled[] = []
  readonly paths: readonly Path[]

  constructor(paths: readonly Path[]) {
    this.paths = paths
    for (const path of paths) {
      for (const pattern of variants(path.pattern)) this.#add(compile(path, pattern))
    }
  }

  #add(compiled: Compiled): void {
    const first = compiled.segments[0]?.literal
    if (first === undefined) this.#anyFirst.push(compiled)
    else this.#byFirst.set(first, [...(this.#byFirst.get(first) ?? []), compiled])
  }

  /**
   * The declaration that fits and offers the operation, else the first that fits. `rest` is the path inside the
   * mount; a final slash fits only paths that list.
   */
  match(rest: string, operation: Operation): Match | undefined {
    const slashed = rest.endsWith('/')
    const parts = (slashed ? rest.slice(0, -1) : rest).split('/')
    let fallback: Match | undefined
    for (const candidates of [this.#byFirst.get(parts[0] as string) ?? [], this.#anyFirst]) {
      for (const candidate of candidates) {
        if (slashed && !candidate.lists && !endsInRest(candidate)) continue
        const names = namesOf(candidate, parts, slashed)
        if (!names) continue
        if (offers(candidate.path, operation)) {
          // Policies know what is not a list by the spelling without the slash: a denial must not be passed by.
          if (slashed && !isListing(operation) && !endsInRest(candidate)) continue
          return { path: candidate.path, names }
        }
        fallback ??= { path: candidate.path, names }
      }
    }
    return fallback
  }
}

/** A write to a path that tells creation from update may be declared as either. */
function offers(path: Path, operation: Operation): boolean {
  if (operation === 'help') return true
  return path.operations[operation === 'create' ? 'update' : operation] !== undefined
}

function isListing(operation: Operation): boolean {
  return operation === 'list' || operation === 'scan' || operation === 'help'
}

function endsInRest({ segments, restAt }: Compiled): boolean {
  return restAt >= 0 && restAt === segments.length - 1
}

function namesOf(
  compiled: Compiled,
  parts: readonly string[],
  slashed: boolean,
): ReadonlyMap<string, string> | undefined {
  const { segments, restAt } = compiled
  const extra = parts.length - segments.length
  if (restAt < 0 ? extra !== 0 : extra < 0) return undefined
  let names: Map<string, string> | undefined
  for (let i = 0, at = 0; i < segments.length; i++) {
    const { literal, name, spelling } = segments[i] as Segment
    const taken = i === restAt ? 1 + extra : 1
    const plain = taken === 1 ? (parts[at] as string) : parts.slice(at, at + taken).join('/')
    at += taken
    if (literal !== undefined) {
      if (plain !== literal) return undefined
      continue
    }
    const text = i === restAt && slashed && endsInRest(compiled) ? `${plain}/` : plain
    if (text.length > MAX_NAME_CHARACTERS || !(spelling as RegExp).test(text)) return undefined
    names ??= new Map()
    names.set(name as string, text)
  }
  return names ?? NO_NAMES
}

/** `a(/:b)` is `a` and `a/:b`. */
function variants(pattern: string): string[] {
  const optional = /^(.*)\((\/[^()]*)\)$/.exec(pattern)
  return optional ? [`${optional[1]}${optional[2]}`, ...variants(optional[1] as string)] : [pattern]
}

function compile(path: Path, pattern: string): Compiled {
  const segments = pattern.split('/').map((part) => compileSegment(path, part))
  const restAt = pattern.split('/').findIndex((part) => part.endsWith('*'))
  const lists = path.operations.list !== undefined || path.operations.scan !== undefined
  return { path, segments, restAt, lists }
}

function compileSegment(path: Path, part: string): Segment {
  if (!part.startsWith(':')) return { literal: part }
  const name = part.replace(/^:|\*$/g, '')
  const spelling: NamePattern = path.names?.[name] ?? (part.endsWith('*') ? 'rest' : 'segment')
  return { name, spelling: namePatterns[spelling] }
}

/** The regular expression that help texts show for a path. */
export function patternText(path: Path): string {
  const source = path.pattern.replace(/:([a-z_]+)\*?/g, (part, name: string) => {
    const spelling = path.names?.[name] ?? (part.endsWith('*') ? 'rest' : 'segment')
    return `(?P<${name}>${namePatterns[spelling].source.replace(/^\^|\$$/g, '')})`
  })
  return `^${source.replace(/\((\/.*)\)$/, '(?:$1)?')}${path.operations.list ? '/?' : ''}$`
}
