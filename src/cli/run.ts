/** From the words of a command line to the command that they name, its output and its exit status (contract 8.1). */
import { type AnyCommand, isLocal, type ListedCommand } from './declaration/command.ts'
import { Failure, failureText, Shown } from './failure.ts'
import type { Terminal } from './output/terminal.ts'

const UNKNOWN_COMMAND = 127
const VERSION_FLAG = /^--?v(ersion)?$/

/** Never throws: what goes wrong is told on stderr. */
export async function runCli(words: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(words, terminal)
  } catch (error) {
    return reportFailure(error, terminal)
  }
}

async function dispatch(words: readonly string[], terminal: Terminal): Promise<number> {
  const [first = '', ...rest] = words
  if (first === 'ssh-askpass') {
    // Run by ssh for `postern ssh`, by nobody else.
    return await (await import('./ssh/askpass/askpass.ts')).runAskpass(rest, terminal)
  }
  if (first === 'complete') {
    // Run by the shell, for what `postern completion` prints.
    return await (await import('./declaration/complete.ts')).complete(rest, terminal)
  }
  if (VERSION_FLAG.test(first)) return await dispatch(['version', ...rest], terminal)
  if (first === 'version' && rest.length === 0) {
    // The quickest way, since it tells how quick the rest can be.
    const { version } = await import('./commands/print.ts')
    return await version.run(
      { args: [], text: () => undefined, bool: () => undefined, list: () => [] },
      terminal,
    )
  }
  const { commandList } = await import('./declaration/command-list.ts')
  if (first === '' || first === 'help' || isHelpFlag(first)) {
    return await help(commandList, rest, terminal, words.length === 0 ? 1 : 0)
  }
  const found = findCommand(commandList, words)
  if (found === undefined) {
    return await help(commandList, words, terminal, words.some(isHelpFlag) ? 0 : 1)
  }
  const { listed, remaining } = found
  const command = await listed.load()
  if (asksForHelp(command, remaining)) {
    return await help(commandList, listed.name.split(' '), terminal, 0)
  }
  if (listed.isOld) await refuseTypo(commandList, listed.name, words)
  const { parseInput } = await import('./declaration/parse.ts')
  const input = parseInput(listed.name, command, remaining)
  if (isLocal(command)) return await command.run(input, terminal)
  const { Session } = await import('./session.ts')
  const session = await Session.open(terminal, input)
  try {
    return await command.run(session)
  } finally {
    session.client.close()
  }
}

function isHelpFlag(word: string): boolean {
  return /^--?h(elp)?$/.test(word)
}

function asksForHelp(command: AnyCommand, words: readonly string[]): boolean {
  const firstArgument = words.findIndex((word) => !word.startsWith('-'))
  const isCut = command.flagsEndAtFirstArgument === true && firstArgument >= 0
  return words.slice(0, isCut ? firstArgument : undefined).some(isHelpFlag)
}

function findCommand(
  list: readonly ListedCommand[],
  words: readonly string[],
): { listed: ListedCommand; remaining: readonly string[] } | undefined {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(' ')
    const listed = list.find((row) => row.name === name)
    if (listed) return { listed, remaining: words.slice(count) }
  }
  return undefined
}

/** Help for the words, on stdout when asked for (status 0) and else on stderr. */
async function help(
  list: readonly ListedCommand[],
  words: readonly string[],
  terminal: Terminal,
  status: number,
): Promise<number> {
  const print = (text: string) => (status === 0 ? terminal.write(text) : terminal.writeError(text))
  const texts = await import('./declaration/help.ts')
  const named = words.filter((word) => !word.startsWith('-'))
  const [group] = named
  if (group === undefined) {
    print(texts.overview(list))
    return status
  }
  const members = list.filter(({ name }) => name.startsWith(`${group} `))
  const found = findCommand(list, named)
  if (found) {
    const below = found.listed.name === group ? members : []
    print(texts.commandHelp(found.listed, await found.listed.load(), below))
    return status
  }
  if (members.length > 0 && named.length === 1) {
    print(texts.groupHelp(group, members))
    return status
  }
  throw await unknownCommand(list, named, members)
}

/** `auth lst` is no login with the token `lst`. Throws a Failure. */
async function refuseTypo(
  list: readonly ListedCommand[],
  group: string,
  words: readonly string[],
): Promise<void> {
  const members = list.filter(({ name }) => name.startsWith(`${group} `))
  if (members.length === 0 || words[1] === undefined) return
  const { nearestName } = await import('./declaration/parse.ts')
  const verbs = members.map(({ name }) => name.slice(group.length + 1))
  if (nearestName(words[1], verbs)) throw await unknownCommand(list, words, members)
}

async function unknownCommand(
  list: readonly ListedCommand[],
  words: readonly string[],
  members: readonly ListedCommand[],
): Promise<Failure> {
  const { nearestName } = await import('./declaration/parse.ts')
  const isInGroup = members.length > 0
  const typed = isInGroup ? words.slice(0, 2).join(' ') : (words[0] ?? '')
  const names = isInGroup
    ? members.map(({ name }) => name.split(' ')[1] as string)
    : [...new Set(list.map(({ name }) => name.split(' ')[0] as string)), 'help']
  const nearest = nearestName((isInGroup ? words[1] : words[0]) ?? '', names)
  const hint =
    nearest === undefined
      ? 'postern help lists the commands'
      : `did you mean ${isInGroup ? `${words[0]} ${nearest}` : nearest}?`
  return new Failure(`postern: unknown command ${typed}`, { status: UNKNOWN_COMMAND, hint })
}

function reportFailure(error: unknown, terminal: Terminal): number {
  if (error instanceof Shown) {
    terminal.write(`${error.message}\n`)
    return 0
  }
  const failure =
    error instanceof Failure ? error : new Failure(`postern: ${(error as Error).message}`)
  terminal.writeError(failureText(failure, terminal))
  return failure.status
}
