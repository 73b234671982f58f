/** Help texts, made from the commands' declarations. */
import { type AnyCommand, type Flag, isLocal, type ListedCommand } from './command.ts'
import { commonFlags } from './common-flags.ts'
import { usageOf } from './parse.ts'

type Row = readonly [name: string, help: string]

export function overview(list: readonly ListedCommand[]): string {
  const rows = (isOld: boolean): Row[] =>
    list.filter((row) => row.isOld === isOld).map(({ name, summary }) => [name, summary])
  return `Usage: postern COMMAND [flags] [arguments]

Commands:
${columns([...rows(false), ['help', 'Shows the help of a command']])}

Verbs of 2015:
${columns(rows(true))}

postern help COMMAND says more.
`
}

export function groupHelp(group: string, list: readonly ListedCommand[]): string {
  return `Usage: postern ${group} COMMAND [flags] [arguments]\n\nCommands:\n${columns(rowsOf(list))}\n`
}

/** `members` are commands of a group of the same name. */
export function commandHelp(
  { name, summary }: ListedCommand,
  command: AnyCommand,
  members: readonly ListedCommand[],
): string {
  const parts = [`Usage: ${usageOf(name, command)}`, `${summary}.`]
  if (command.description !== '') parts.push(command.description)
  if (command.examples && command.examples.length > 0) {
    parts.push(`Examples:\n${command.examples.map((example) => `  $ ${example}`).join('\n')}`)
  }
  if (command.flags.length > 0) parts.push(`Flags:\n${columns(command.flags.map(flagRow))}`)
  if (!isLocal(command)) {
    parts.push(`Flags of every command:\n${columns(commonFlags.map(flagRow))}`)
  }
  if (members.length > 0) parts.push(`Commands below it:\n${columns(rowsOf(members))}`)
  return `${parts.join('\n\n')}\n`
}

/** A flag as it is typed, and what it is for. */
export function flagRow({ name, aliases = [], kind, value, help }: Flag): Row {
  const names = [...aliases, name].map((one) => `-${one}`).join(', ')
  return [kind === 'bool' ? names : `${names}=${value ?? 'value'}`, help]
}

function rowsOf(list: readonly ListedCommand[]): Row[] {
  return list.map(({ name, summary }) => [name, summary])
}

function columns(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([first]) => first.length))
  return rows.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`).join('\n')
}
