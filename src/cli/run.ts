/** From the words of a command line to the command that they name, its output and its exit status (contract 8.1). */
import { version } from '../client/version.ts'
import type { ListedCommand } from './command.ts'
import { commandList } from './command-list.ts'
import { Failure } from './failure.ts'
import type { Terminal } from './terminal.ts'

const UNKNOWN_COMMAND = 127
const VERSION_WORDS = new Set(['version', '-v', '-version', '--version'])

/** Never throws: what goes wrong is told on stderr. */
export async function runCli(words: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(words, terminal)
  } catch (error) {
    return reportFailure(error, terminal)
  }
}

async function dispatch(words: readonly string[], terminal: Terminal): Promise<number> {
  const [first, ...rest] = words
  if (first === 'server') {
    // Loaded here alone: everything else starts without the server's code.
    return await (await import('./commands/server.ts')).runServer(rest)
  }
  if (first === 'ssh-askpass') {
    // Run by ssh for `postern ssh`, by nobody else.
    return await (await import('./ssh/askpass.ts')).runAskpass(rest, terminal)
  }
  if (first !== undefined && VERSION_WORDS.has(first)) {
    terminal.write(`Postern v${version}\n`)
    return 0
  }
  if (first === undefined || first === 'help' || isHelpFlag(first)) {
    return await help(rest, terminal, first === undefined ? 1 : 0)
  }
  const found = findCommand(words)
  if (found === undefined) {
    return await help(words, terminal, words.some(isHelpFlag) ? 0 : 1)
  }
  const { listed, remaining } = found
  const { parseInput } = await import('./parse.ts')
  const command = await listed.load()
  const firstArgument = remaining.findIndex((word) => !word.startsWith('-'))
  const isCut = command.flagsEndAtFirstArgument === true && firstArgument >= 0
  if (remaining.slice(0, isCut ? firstArgument : undefined).some(isHelpFlag)) {
    return await help(listed.name.split(' '), terminal, 0)
  }
  const { Session } = await import('./session.ts')
  const session = new Session(terminal, parseInput(listed.name, command, remaining))
  try {
    return await command.run(session)
  } finally {
    session.client.close()
  }
}

function isHelpFlag(word: string): boolean {
  return /^--?h(elp)?$/.test(word)
}

function findCommand(
  words: readonly string[],
): { listed: ListedCommand; remaining: readonly string[] } | undefined {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(' ')
    const listed = commandList.find((row) => row.name === name)
    if (listed) return { listed, remaining: words.slice(count) }
  }
  return undefined
}

/** Help for the words, on stdout when asked for (status 0) and else on stderr. */
async function help(words: readonly string[], terminal: Terminal, status: number): Promise<number> {
  const print = (text: string) => (status === 0 ? terminal.write(text) : terminal.writeError(text))
  const texts = await import('./help.ts')
  const named = words.filter((word) => !word.startsWith('-'))
  const [group] = named
  if (group === undefined) {
    print(texts.overview(commandList))
    return status
  }
  const found = findCommand(named)
  if (found) {
    print(texts.commandHelp(found.listed, await found.listed.load()))
    return status
  }
  const members = commandList.filter(({ name }) => name.startsWith(`${group} `))
  if (members.length > 0 && named.length === 1) {
    print(texts.groupHelp(group, members))
    return status
  }
  throw await unknownCommand(named, members)
}

async function unknownCommand(
  words: readonly string[],
  members: readonly ListedCommand[],
): Promise<Failure> {
  const { nearestCommand } = await import('./parse.ts')
  const isInGroup = members.length > 0
  const typed = isInGroup ? words.slice(0, 2).join(' ') : (words[0] ?? '')
  const names = isInGroup
    ? members.map(({ name }) => name.split(' ')[1] as string)
    : [...new Set(commandList.map(({ name }) => name.split(' ')[0] as string)), 'server', 'version']
  const nearest = nearestCommand((isInGroup ? words[1] : words[0]) ?? '', names)
  const hint =
    nearest === undefined
      ? 'postern help lists the commands'
      : `did you mean ${isInGroup ? `${words[0]} ${nearest}` : nearest}?`
  return new Failure(`postern: unknown command ${typed}`, { status: UNKNOWN_COMMAND, hint })
}

function reportFailure(error: unknown, terminal: Terminal): number {
  if (error instanceof Failure) {
    terminal.writeError(`${error.message}\n`)
    if (error.hint !== undefined) terminal.writeError(`hint: ${error.hint}\n`)
    return error.status
  }
  terminal.writeError(`postern: ${(error as Error).message}\n`)
  return 1
}
