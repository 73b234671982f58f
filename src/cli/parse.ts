/**
 * From what was typed to flags and arguments. Flags have one dash, as the family writes them
 * (`-format=json`, `-field key`); two are understood as well. Commander does the parsing behind that.
 */
import { CommanderError, Option, Command as Parser } from 'commander'
import { parseBool } from '../client/environment.ts'
import type { Command, Flag, Input } from './command.ts'
import { commonFlags } from './common-flags.ts'
import { usageFailure } from './failure.ts'

/** Throws a Failure with a hint for flags and arguments that the command does not take. */
export function parseInput(name: string, command: Command, words: readonly string[]): Input {
  const flags = [...command.flags, ...commonFlags]
  const parser = new Parser(name)
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} })
  for (const flag of flags) parser.addOption(optionOf(flag))
  for (const { name: argument, isOptional, isRest } of command.args) {
    const inner = isRest ? `${argument}...` : argument
    parser.argument(isOptional ? `[${inner}]` : `<${inner}>`)
  }
  try {
    parser.parse(withTwoDashes(words, flags, command.flagsEndAtFirstArgument), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    throw parseFailure(error, name, command)
  }
  const values = new Map(Object.entries(parser.opts()))
  return {
    args: parser.args,
    text: (flag) => values.get(internalName(flag)),
    bool: (flag) => readBool(flag, values.get(internalName(flag))),
    list: (flag) => values.get(internalName(flag)) ?? [],
  }
}

/** The command most like a word, if any is near. */
export function nearestCommand(word: string, names: readonly string[]): string | undefined {
  const parser = new Parser('postern')
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} })
  for (const name of names) parser.command(name)
  try {
    parser.parse([word], { from: 'user' })
  } catch (error) {
    return /Did you mean (?:one of )?([^,?]+)/.exec((error as Error).message)?.[1]
  }
  return undefined
}

/** `PATH [DATA…]` */
export function usageOf(name: string, { args }: Command): string {
  const words = args.map(({ name: argument, isOptional, isRest }) => {
    const word = `${argument.toUpperCase()}${isRest ? '…' : ''}`
    return isOptional ? `[${word}]` : word
  })
  return ['postern', name, '[flags]', ...words].join(' ')
}

function optionOf(flag: Flag): Option {
  const option = new Option(`${optionName(flag.name)} <value>`)
  if (flag.kind !== 'list') return option
  return option.argParser((value: string, earlier: string[] | undefined) => [
    ...(earlier ?? []),
    value,
  ])
}

function withTwoDashes(
  words: readonly string[],
  flags: readonly Flag[],
  endAtFirstArgument = false,
): string[] {
  const byName = new Map(
    flags.flatMap((flag) => [flag.name, ...(flag.aliases ?? [])].map((name) => [name, flag])),
  )
  const translated: string[] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    if (word === '--') return [...translated, ...words.slice(index)]
    if (endAtFirstArgument && !word.startsWith('-')) {
      return [...translated, '--', ...words.slice(index)]
    }
    const [, name = '', value] = /^--?([A-Za-z][\w-]*)(?:=([\s\S]*))?$/.exec(word) ?? []
    const flag = byName.get(name)
    if (flag === undefined) {
      translated.push(name === '' ? word : optionName(name))
      continue
    }
    translated.push(optionName(flag.name))
    if (value !== undefined) translated.push(value)
    else if (flag.kind === 'bool') translated.push('true')
    else if (index + 1 < words.length) translated.push(words[++index] as string)
  }
  return translated
}

function readBool(flag: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  const value = parseBool(text)
  if (value === undefined) throw usageFailure(`-${flag} is true or false, not ${text}`)
  return value
}

// Commander gives `--no-…` a meaning of its own, and turns other dashes into capitals.
function internalName(flag: string): string {
  return flag.replaceAll('-', '_')
}

function optionName(flag: string): string {
  return `--${internalName(flag)}`
}

function parseFailure(error: CommanderError, name: string, command: Command): Error {
  const text = error.message
    .replace(/^error: /, '')
    .replace(/'?--(\w+)(?: <value>)?'?/g, (_, flag: string) => `-${flag.replaceAll('_', '-')}`)
  const [first = '', second] = text.split('\n')
  const usage = `usage: ${usageOf(name, command)}`
  switch (error.code) {
    case 'commander.unknownOption': {
      const nearest = /Did you mean (?:one of )?-([\w-]+)/.exec(second ?? '')?.[1]
      const hint = nearest ? `did you mean -${nearest}?` : `postern help ${name} lists the flags`
      return usageFailure(first.replace('unknown option', 'unknown flag'), hint)
    }
    case 'commander.optionMissingArgument':
      return usageFailure(
        first.replace(/^option (\S+) argument missing$/, '$1 needs a value'),
        usage,
      )
    case 'commander.missingArgument':
      return usageFailure(
        first.replace(/^missing required argument '(.*)'$/, (_, missing: string) => {
          return `${name} needs a ${missing.toUpperCase()}`
        }),
        usage,
      )
    case 'commander.excessArguments':
      return usageFailure(`too many arguments for ${name}`, usage)
    default:
      return usageFailure(first, usage)
  }
}
