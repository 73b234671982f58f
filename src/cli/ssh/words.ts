/**
 * What follows `postern ssh`'s own flags: ssh's words (ssh(1)), read only as far as is needed to know what the
 * session is for. They are passed on as they were typed.
 */
import { usageFailure } from '../failure.ts'

/** Options of ssh that take a value. */
const WITH_VALUE = new Set('BbcDEeFIiJLlmOoPpQRSWw')

export interface SshWords {
  /** All of them, the destination first. */
  readonly words: readonly string[]
  /** As typed, without user and port: what `Host` and `Match originalhost` compare, and `%n` stands for. */
  readonly hostName: string
  readonly hasCommand: boolean
  /** `-p`, `-o Port=` or a port in an `ssh://` address. */
  readonly namesPort: boolean
  /** `-W`: the session is a pipe to somewhere else. */
  readonly isPipe: boolean
}

/** Throws a Failure when the first word is no destination: it is never one that ssh would take for an option. */
export function readSshWords(words: readonly string[]): SshWords {
  const [destination = ''] = words
  if (destination === '') {
    throw usageFailure(
      'Not enough arguments, (expected 1-n, got 0)',
      'usage: postern ssh [flags] USER@HOST [words for ssh…]',
    )
  }
  if (destination.startsWith('-')) {
    throw usageFailure(`not a destination: ${destination}`, "ssh's own options go after the host")
  }
  const uri = /^ssh:\/\/(?:[^@]*@)?(\[[^\]]*\]|[^:/]*)(:[0-9]+)?\/?$/.exec(destination)
  const hostName =
    uri?.[1]?.replace(/^\[|\]$/g, '') ?? destination.slice(destination.lastIndexOf('@') + 1)
  let namesPort = uri?.[2] !== undefined
  let isPipe = false
  let index = 1
  for (; index < words.length; index++) {
    const word = words[index] as string
    if (word === '--') {
      index++
      break
    }
    if (!/^-./.test(word)) break
    const letters = [...word.slice(1)]
    const at = letters.findIndex((letter) => WITH_VALUE.has(letter))
    if (at < 0) continue
    const letter = letters[at]
    const value = at + 1 < letters.length ? letters.slice(at + 1).join('') : words[++index]
    if (letter === 'p' || (letter === 'o' && /^\s*port\s*[=\s]/i.test(value ?? '')))
      namesPort = true
    if (letter === 'W') isPipe = true
  }
  return { words, hostName, hasCommand: index < words.length, namesPort, isPipe }
}
