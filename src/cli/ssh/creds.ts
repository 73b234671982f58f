/** The modes of `creds` (contract 6.7, 9): a one-time password, or a dynamic key whose lease ends with the session. */
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { textAt } from '../../client/json.ts'
import { type Envelope, envelopeOf, type Reply } from '../../client/reply.ts'
import { Secret } from '../../redact.ts'
import { Failure } from '../failure.ts'
import { warn } from '../output/output.ts'
import { type Session, UNWRAPPED } from '../session.ts'
import { openAskpass } from './askpass/askpass-server.ts'
import type { Attempt, Login } from './connect.ts'
import { quoteForSsh } from './key/private-folder.ts'
import { isAboutLoginHost } from './scope.ts'

const DEFAULT_PORT = 22

/** Asks for the credential. Throws a Failure when the server refuses. */
export async function requestCreds(session: Session, attempt: Attempt): Promise<Reply> {
  const { mount, choice, target, request } = attempt
  // For the host that the user names the server knows the address.
  const ip = session.input.text('host') === undefined && { ip: await attempt.address() }
  const scope = choice.mode !== 'dynamic' && request.scope
  const body = { ...ip, username: target.user, ...scope }
  const path = `${mount}/creds/${choice.role}`
  const options = { ...UNWRAPPED, body }
  return await session.ask(`asking ${path} for a credential`, 'PUT', path, options)
}

/** What ssh needs to log in with a new credential, of whichever kind the role is. */
export async function credsOptions(session: Session, attempt: Attempt): Promise<Login> {
  // The promise to revoke comes before the request: a signal may come in between.
  const { promise: asked, resolve } = Promise.withResolvers<Reply>()
  let isSpent = false
  attempt.resources.defer(async () => {
    const envelope = envelopeOf(await asked.catch(() => ({ text: '' })))
    if (envelope && !isSpent) await revoke(session, envelope)
  })
  resolve(requestCreds(session, attempt))
  const { kind, secret, port, warnings } = parseGrant(attempt, await asked)
  for (const text of warnings) if (!isAboutLoginHost(text)) warn(session, text)
  const login =
    kind === 'dynamic'
      ? { options: keyOptions(attempt, secret) }
      : await passwordLogin(session, attempt, secret, () => {
          isSpent = true
        })
  return { ...login, options: [...portOption(attempt, port), ...login.options] }
}

interface Grant {
  readonly kind: 'otp' | 'dynamic'
  readonly secret: Secret
  readonly port: number
  readonly warnings: readonly string[]
}

function parseGrant({ choice }: Attempt, reply: Reply): Grant {
  const { data = {}, warnings = [] } = envelopeOf(reply) ?? {}
  const [kind, key] = [textAt(data, 'key_type'), textAt(data, 'key')]
  if (key === undefined || (kind !== 'otp' && kind !== 'dynamic')) {
    throw new Failure(`postern: ${choice.role} answered with no credential for ssh`, { status: 2 })
  }
  if (choice.mode !== 'creds' && choice.mode !== kind) {
    throw new Failure(`postern: the role ${choice.role} is for -mode=${kind}, not ${choice.mode}`)
  }
  // Old servers send the port as text.
  return { kind, secret: new Secret(key), port: Number(data['port']), warnings }
}

async function revoke(session: Session, { leaseId, data }: Envelope): Promise<void> {
  try {
    await session.client.send('PUT', 'sys/leases/revoke', { body: { lease_id: leaseId } })
  } catch (error) {
    // A password that was used is spent; a key goes on opening the host.
    if (data?.['key_type'] === 'otp') return
    warn(session, `the key could not be revoked: ${(error as Error).message.split('\n', 1)[0]}`)
    warn(session, `it works until its lease ${leaseId} ends`)
  }
}

/** The role's port, where neither the user nor ssh's configuration says one. */
function portOption({ words, target }: Attempt, port: number): string[] {
  const isOpen = !words.namesPort && target.port === DEFAULT_PORT
  return isOpen && port > 0 && port !== DEFAULT_PORT ? ['-p', String(port)] : []
}

function keyOptions({ folder }: Attempt, secret: Secret): string[] {
  const text = secret.reveal()
  const file = folder().write('id', text.endsWith('\n') ? text : `${text}\n`)
  const settings = ['IdentitiesOnly=yes', 'AddKeysToAgent=no', `IdentityFile=${quoteForSsh(file)}`]
  return settings.flatMap((setting) => ['-o', setting])
}

async function passwordLogin(
  session: Session,
  attempt: Attempt,
  otp: Secret,
  onSpent: () => void,
): Promise<Login> {
  const settings = [
    'PreferredAuthentications=keyboard-interactive,password',
    'PubkeyAuthentication=no',
    'NumberOfPasswordPrompts=1',
    'BatchMode=no',
  ]
  const options = settings.flatMap((setting) => ['-o', setting])
  const env = await openAskpass(session, attempt, otp, onSpent)
  if (env) return { options, env }
  const sshpass = findProgram(session, 'sshpass')
  if (sshpass) return { options, wrapper: [sshpass, '-d3'], thirdInput: `${otp.reveal()}\n` }
  const { terminal } = session
  const lines = [
    `OTP for the session is \`${otp.reveal()}\``,
    '[Note: Install `sshpass` to automate typing in OTP]',
  ]
  // What a remote command prints goes where it was sent, and nothing else.
  if (terminal.outputIsTerminal) terminal.write(`${lines.join('\n')}\n`)
  else terminal.writeError(`${lines.join('\n')}\n`)
  return { options }
}

/** The path of a program that can be run by its name. */
export function findProgram({ terminal }: Session, name: string): string | undefined {
  const folders = (terminal.environment['PATH'] ?? '').split(path.delimiter)
  const candidates = folders.filter(path.isAbsolute).map((folder) => path.join(folder, name))
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
