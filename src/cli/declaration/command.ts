/**
 * What a command is: one declaration, from which come parsing, help, the reference page and completion, with the
 * function that runs it.
 */

import type { Terminal } from '../output/terminal.ts'
import type { Session } from '../session.ts'

export interface Flag {
  readonly name: string
  /** `bool` needs no value, `list` may be given several times. */
  readonly kind: 'text' | 'bool' | 'list'
  /** What the value is called in help; `a|b` lists all values there are. */
  readonly value?: string
  readonly help: string
  readonly aliases?: readonly string[]
}

/** What an argument's values are taken from when it is completed. */
export type Completed = 'path' | 'mount' | 'auth' | 'policy' | 'audit' | 'file' | 'shell'

export interface Argument {
  readonly name: string
  readonly isOptional?: boolean
  /** Takes all that remain. */
  readonly isRest?: boolean
  readonly completes?: Completed
}

interface Declaration {
  readonly args: readonly Argument[]
  /** Besides those that every command has. */
  readonly flags: readonly Flag[]
  /** What the summary does not say; may be empty. */
  readonly description: string
  readonly examples?: readonly string[]
  /** What follows the first argument is for another program, flags and all. */
  readonly flagsEndAtFirstArgument?: true
}

export interface Command extends Declaration {
  /** Returns the exit status. Throws Failure. */
  readonly run: (session: Session) => Promise<number>
}

/** A command that talks to no server, and takes no flags of every command. */
export interface LocalCommand extends Declaration {
  readonly isLocal: true
  /** Returns the exit status. Throws Failure. */
  readonly run: (input: Input, terminal: Terminal) => Promise<number>
}

export type AnyCommand = Command | LocalCommand

/** A row of the command list: all that is known before the command's own module is loaded. */
export interface ListedCommand {
  readonly name: string
  readonly summary: string
  /** A verb of 2015, which has a successor. */
  readonly isOld: boolean
  readonly load: () => Promise<AnyCommand>
}

/** What was typed after the command's name. */
export interface Input {
  readonly args: readonly string[]
  text(flag: string): string | undefined
  bool(flag: string): boolean | undefined
  list(flag: string): readonly string[]
}

export function isLocal(command: AnyCommand): command is LocalCommand {
  return 'isLocal' in command
}
