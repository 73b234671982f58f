/** Help texts, made from the commands' declarations. */
import type { Command, Flag, ListedCommand } from './command.ts'
import { commonFlags } from './common-flags.ts'
import { usageOf } from './parse.ts'

/** What starts without a session, so that it has no declaration. */
const OTHERS = [
  ['server', 'Starts a server'],
  ['version', 'Shows the version'],
  ['help', 'Shows the help of a command'],
] as const

export function overview(list: readonly ListedCommand[]): string {
  const rows = [...list.map(({ name, summary }) => [name, summary] as const), ...OTHERS]
  return `Usage: postern COMMAND [flags] [arguments]\n\nCommands:\n${columns(rows)}\n\npostern help COMMAND says more.\n`
}

export function groupHelp(group: string, list: readonly ListedCommand[]): string {
  const rows = list.map(({ name, summary }) => [name, summary] as const)
  return `Usage: postern ${group} COMMAND [flags] [arguments]\n\nCommands:\n${columns(rows)}\n`
}

export function commandHelp({ name, summary }: ListedCommand, command: Command): string {
  const parts = [`Usage: ${usageOf(name, command)}`, `${summary}.`]
  if (command.description !== '') parts.push(command.description)
  if (command.examples) {
    parts.push(`Examples:\n${command.examples.map((example) => `  $ ${example}`).join('\n')}`)
  }
  if (command.flags.length > 0) parts.push(`Flags:\n${flagRows(command.flags)}`)
  parts.push(`Flags of every command:\n${flagRows(commonFlags)}`)
  return `${parts.join('\n\n')}\n`
}

function flagRows(flags: readonly Flag[]): string {
  return columns(
    flags.map(({ name, aliases = [], kind, value, help }) => {
      const names = [...aliases, name].map((one) => `-${one}`).join(', ')
      return [kind === 'bool' ? names : `${names}=${value ?? 'value'}`, help] as const
    }),
  )
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([first]) => first.length))
  return rows.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`).join('\n')
}
