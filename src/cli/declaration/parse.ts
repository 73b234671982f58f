/**
 * From what was typed to flags and arguments. Flags have one dash, as the family writes them (`-format=json`,
 * `-field key`); two are understood as well. They may stand before and behind the arguments; `--` ends them.
 */
import { parseBool } from '../../client/environment.ts'
import { usageFailure } from '../failure.ts'
import { type AnyCommand, type Flag, type Input, isLocal } from './command.ts'
import { commonFlags } from './common-flags.ts'

/** How many letters may differ between a word and the one that was meant. */
const MAX_DISTANCE = 3
/** And how much of the longer of the two, at most. */
const MAX_SHARE = 0.5

/** Throws a Failure with a hint for flags and arguments that the command does not take. */
export function parseInput(name: string, command: AnyCommand, words: readonly string[]): Input {
  const flags = isLocal(command) ? command.flags : [...command.flags, ...commonFlags]
  const { values, args } = splitWords(name, command, flags, words)
  checkArguments(name, command, args)
  return {
    args,
    text: (flag) => values.get(flag)?.at(-1),
    bool: (flag) => readBool(flag, values.get(flag)?.at(-1)),
    list: (flag) => values.get(flag) ?? [],
  }
}

/** The name most like a word, if any is near. */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  const rated = names
    .map((name) => ({ name, distance: distanceOf(word, name) }))
    .filter(({ name, distance }) => {
      const longest = Math.max(word.length, name.length)
      return distance <= MAX_DISTANCE && distance <= longest * MAX_SHARE
    })
    .sort((one, other) => one.distance - other.distance)
  return rated[0]?.name
}

/** `postern write [flags] PATH [DATA…]` */
export function usageOf(name: string, { args }: Pick<AnyCommand, 'args'>): string {
  const words = args.map(({ name: argument, isOptional, isRest }) => {
    const word = `${argument.toUpperCase()}${isRest ? '…' : ''}`
    return isOptional ? `[${word}]` : word
  })
  return ['postern', name, '[flags]', ...words].join(' ')
}

function splitWords(
  name: string,
  command: AnyCommand,
  flags: readonly Flag[],
  words: readonly string[],
): { values: Map<string, string[]>; args: string[] } {
  const byName = new Map(
    flags.flatMap((flag) => [flag.name, ...(flag.aliases ?? [])].map((one) => [one, flag])),
  )
  const values = new Map<string, string[]>()
  const args: string[] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    if (word === '--') return { values, args: [...args, ...words.slice(index + 1)] }
    if (!/^-./.test(word)) {
      if (command.flagsEndAtFirstArgument) return { values, args: words.slice(index) }
      args.push(word)
      continue
    }
    const [, typed = '', given] = /^--?([^=]*)(?:=([\s\S]*))?$/.exec(word) ?? []
    const flag = byName.get(typed)
    if (flag === undefined) throw unknownFlag(name, typed, [...byName.keys()])
    const value = given ?? (flag.kind === 'bool' ? 'true' : words[++index])
    if (value === undefined) {
      throw usageFailure(`-${flag.name} needs a value`, `usage: ${usageOf(name, command)}`)
    }
    values.set(flag.name, [...(values.get(flag.name) ?? []), value])
  }
  return { values, args }
}

function unknownFlag(name: string, typed: string, names: readonly string[]): Error {
  const nearest = nearestName(typed, names)
  const hint = nearest ? `did you mean -${nearest}?` : `postern help ${name} lists the flags`
  return usageFailure(`unknown flag -${typed}`, hint)
}

function checkArguments(name: string, command: AnyCommand, args: readonly string[]): void {
  const usage = `usage: ${usageOf(name, command)}`
  const missing = command.args[args.length]
  if (missing !== undefined && !missing.isOptional) {
    throw usageFailure(`${name} needs a ${missing.name.toUpperCase()}`, usage)
  }
  if (args.length > command.args.length && !command.args.some(({ isRest }) => isRest)) {
    throw usageFailure(`too many arguments for ${name}`, usage)
  }
}

function readBool(flag: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  const value = parseBool(text)
  if (value === undefined) throw usageFailure(`-${flag} is true or false, not ${text}`)
  return value
}

/** Letters to add, drop, replace or swap with a neighbour. */
function distanceOf(one: string, other: string): number {
  let [before, last]: [number[], number[]] = [
    [],
    Array.from({ length: other.length + 1 }, (_, at) => at),
  ]
  for (let row = 1; row <= one.length; row++) {
    const next = [row]
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1]
      const isSwap = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      next.push(
        Math.min(
          (last[column] as number) + 1,
          (next[column - 1] as number) + 1,
          (last[column - 1] as number) + (isSame ? 0 : 1),
          isSwap ? (before[column - 2] as number) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    ;[before, last] = [last, next]
  }
  return last[other.length] as number
}
