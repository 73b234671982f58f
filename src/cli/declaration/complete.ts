/**
 * `postern complete SHELL WORD…`, run by the shell while a command line is typed: prints what the last word may
 * become, a line each. Names come from the server when there is a token; nothing at all is printed otherwise.
 */

import type { Terminal } from '../output/terminal.ts'
import { ServerNames } from '../server-names.ts'
import {
  type AnyCommand,
  type Argument,
  type Flag,
  isLocal,
  type ListedCommand,
} from './command.ts'
import { commandList } from './command-list.ts'
import { commonFlags } from './common-flags.ts'

/** Returns 0 always: a shell shows no errors here. */
export async function complete(words: readonly string[], terminal: Terminal): Promise<number> {
  const [shell, ...rest] = words
  // bash splits words at `=` and `:` by itself, so it gives the line.
  const typed = shell === 'bash' ? (rest[0] ?? '').split(/\s+/).slice(1) : rest
  const current = typed.at(-1) ?? ''
  const found = await candidates(typed.slice(0, -1), current, new ServerNames(terminal))
  const matching = [...new Set(found)].filter((one) => one.startsWith(current)).sort()
  const cut = shell === 'bash' ? current.search(/[^=:]*$/) : 0
  terminal.write(matching.map((one) => `${one.slice(cut)}\n`).join(''))
  return 0
}

async function candidates(
  before: readonly string[],
  current: string,
  names: ServerNames,
): Promise<string[]> {
  const listed = commandOf(before)
  const words = commandWords(before)
  if (listed === undefined) return words
  const command = await listed.load()
  const state = readTyped(command, before.slice(listed.name.split(' ').length))
  const { flag, args, values } = state
  if (flag) return await flagValues(flag, values, names)
  const [, name = '', value] = /^--?([\w-]+)(?:=(.*))?$/.exec(current) ?? []
  if (value !== undefined) {
    const typed = flagsOf(command).find((one) => one.name === name)
    const prefix = current.slice(0, current.length - value.length)
    const found = typed ? await flagValues(typed, values, names) : []
    return found.map((one) => prefix + one)
  }
  if (current.startsWith('-')) {
    return flagsOf(command).map((one) => `-${one.name}${one.kind === 'bool' ? '' : '='}`)
  }
  return [...words, ...(await argumentValues(argumentAt(command, args.length), current, names))]
}

/** The words that a command's name may go on with. */
function commandWords(before: readonly string[]): string[] {
  if (before.length === 0) {
    // The verbs of 2015 still work, but are nothing to learn.
    return commandList.filter(({ isOld }) => !isOld).map(({ name }) => name.split(' ')[0] as string)
  }
  const group = `${before[0]} `
  if (before.length > 1) return []
  return commandList
    .filter(({ name }) => name.startsWith(group))
    .map(({ name }) => name.slice(group.length))
}

function commandOf(words: readonly string[]): ListedCommand | undefined {
  const find = (name: string) => commandList.find((row) => row.name === name)
  return (words.length > 1 ? find(words.slice(0, 2).join(' ')) : undefined) ?? find(words[0] ?? '')
}

interface Typed {
  readonly args: readonly string[]
  readonly values: ReadonlyMap<string, string>
  /** The last word, when its value is what comes next. */
  readonly flag: Flag | undefined
}

function readTyped(command: AnyCommand, words: readonly string[]): Typed {
  const byName = new Map(flagsOf(command).map((flag) => [flag.name, flag]))
  const values = new Map<string, string>()
  const args: string[] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    const [, name = '', value] = /^--?([\w-]+)(?:=(.*))?$/.exec(word) ?? []
    const flag = byName.get(name)
    if (flag === undefined) args.push(word)
    else if (value !== undefined) values.set(name, value)
    else if (flag.kind !== 'bool') {
      if (index + 1 === words.length) return { args, values, flag }
      values.set(name, words[++index] as string)
    }
  }
  return { args, values, flag: undefined }
}

function flagsOf(command: AnyCommand): Flag[] {
  return isLocal(command) ? [...command.flags] : [...command.flags, ...commonFlags]
}

function argumentAt({ args }: AnyCommand, index: number): Argument | undefined {
  const last = args.at(-1)
  return args[index] ?? (last?.isRest ? last : undefined)
}

async function flagValues(
  { name, kind, value = '' }: Flag,
  values: ReadonlyMap<string, string>,
  names: ServerNames,
): Promise<string[]> {
  if (kind === 'bool') return ['true', 'false']
  if (value.includes('|')) return value.split('|')
  switch (name) {
    case 'role':
      return await names.roles(values.get('mount-point') ?? 'ssh')
    case 'mount-point':
    case 'host-key-mount-point':
      return await names.mounts('secret')
    case 'policy':
      return await names.policies()
    default:
      return []
  }
}

async function argumentValues(
  argument: Argument | undefined,
  current: string,
  names: ServerNames,
): Promise<string[]> {
  switch (argument?.completes) {
    case 'path':
      return await names.paths(current)
    case 'mount':
      return await names.mounts('secret')
    case 'auth':
      return await names.mounts('auth')
    case 'policy':
      return await names.policies()
    case 'audit':
      return await names.auditDevices()
    case 'shell':
      return ['bash', 'zsh', 'fish']
    default:
      return []
  }
}
