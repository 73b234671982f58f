/**
 * Gives a one-time password to ssh's own question for it (SSH_ASKPASS, ssh(1)): over a socket in a private folder,
 * so that it is in no argument and no environment, once, and to the target's password question only.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Secret } from '../../../redact.ts'
import type { Session } from '../../session.ts'
import type { Attempt } from '../connect.ts'
import { quoteForShell, selfCommand } from '../self.ts'
import type { Target } from '../target.ts'

/** The first version with SSH_ASKPASS_REQUIRE. */
const NEEDED_VERSION = 8.4

/** What the askpass program is told. Neither member: the question is for somebody at the terminal. */
export interface Answer {
  readonly answer?: string
  /** Nobody is to be asked. */
  readonly isRefused?: true
}

/** The environment with which ssh asks us. Undefined where this ssh or this machine can't. */
export async function openAskpass(
  session: Session,
  { target, folder, resources }: Attempt,
  otp: Secret,
  onSpent: () => void,
): Promise<Record<string, string> | undefined> {
  const ssh = session.input.text('ssh-executable') ?? 'ssh'
  const socket = folder().file('askpass.sock')
  const words = [...selfCommand(), 'ssh-askpass', socket].map(quoteForShell).join(' ')
  const lines = ['#!/bin/sh', '[ $# -gt 0 ] || exit 0', `exec ${words} "$1"`]
  const script = folder().write('askpass', `${lines.join('\n')}\n`, 0o700)
  const [version, probe] = await Promise.all([outcome(ssh, ['-V']), outcome(script, [])])
  // A folder for temporary files may be mounted so that nothing in it can be run.
  if (!probe.isGood || !isNewEnough(version.errors)) return undefined
  const answer = answerer(target, otp, onSpent)
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    void reply(connection, answer)
  })
  server.listen(socket)
  // A folder whose path is too long holds no socket.
  if (!(await once(server, 'listening').catch(() => undefined))) return undefined
  resources.defer(() => void server.close())
  return { SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force' }
}

/** Answers questions in their order: the first that is the target's for a password gets it, a second one nothing. */
export function answerer(
  target: Pick<Target, 'user' | 'host' | 'shownHost' | 'hasProxy'>,
  otp: Secret,
  onSpent: () => void,
): (question: string) => Answer {
  let isSpent = false
  return (question) => {
    if (!isPasswordQuestion(question, target)) return {}
    if (isSpent) return { isRefused: true }
    isSpent = true
    onSpent()
    return { answer: otp.reveal() }
  }
}

/** What precedes the words of a server is ssh's own, so that no jump host can pass for the target. */
function isPasswordQuestion(
  question: string,
  { user, host, shownHost, hasProxy }: Parameters<typeof answerer>[0],
): boolean {
  const asked = question.toLowerCase()
  const names = [host, shownHost].map((name) => name.toLowerCase())
  const own = user.toLowerCase()
  if (names.some((name) => asked === `${own.slice(0, 30)}@${name.slice(0, 128)}'s password: `)) {
    return true
  }
  const prefix = names.map((name) => `(${own}@${name}) `).find((text) => asked.startsWith(text))
  if (prefix !== undefined) {
    return /password|passcode|one-time|\botp\b/.test(asked.slice(prefix.length))
  }
  // Versions before 8.6 write no prefix.
  return !hasProxy && /^\s*password:\s*$/.test(asked)
}

function isNewEnough(text: string): boolean {
  const [, version] = /OpenSSH_(?:for_Windows_)?([0-9]+\.[0-9]+)/.exec(text) ?? []
  return version !== undefined && Number(version) >= NEEDED_VERSION
}

async function reply(connection: Socket, answer: (question: string) => Answer): Promise<void> {
  try {
    connection.end(JSON.stringify(answer(await text(connection))))
  } catch {
    connection.destroy()
  }
}

function outcome(
  program: string,
  args: readonly string[],
): Promise<{ isGood: boolean; errors: string }> {
  return new Promise((resolve) => {
    execFile(program, args, (error, _output, errors) => resolve({ isGood: !error, errors }))
  })
}
