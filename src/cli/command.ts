/**
 * What a command is: one declaration, from which come parsing and help (and later completion and reference
 * pages), with the function that runs it.
 */
import type { Session } from './session.ts'

export interface Flag {
  readonly name: string
  /** `bool` needs no value, `list` may be given several times. */
  readonly kind: 'text' | 'bool' | 'list'
  /** What the value is called in help. */
  readonly value?: string
  readonly help: string
  readonly aliases?: readonly string[]
}

export interface Argument {
  readonly name: string
  readonly isOptional?: boolean
  /** Takes all that remain. */
  readonly isRest?: boolean
}

export interface Command {
  readonly args: readonly Argument[]
  /** Besides those that every command has. */
  readonly flags: readonly Flag[]
  /** What the summary does not say; may be empty. */
  readonly description: string
  readonly examples?: readonly string[]
  /** What follows the first argument is for another program, flags and all. */
  readonly flagsEndAtFirstArgument?: true
  /** Returns the exit status. Throws Failure. */
  readonly run: (session: Session) => Promise<number>
}

/** A row of the command list: all that is known before the command's own module is loaded. */
export interface ListedCommand {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<Command>
}

/** What was typed after the command's name. */
export interface Input {
  readonly args: readonly string[]
  text(flag: string): string | undefined
  bool(flag: string): boolean | undefined
  list(flag: string): readonly string[]
}
