/** One session of `postern ssh` (contract 8.3): target, role, credential, and ssh itself. */
import { envelopeOf } from '../../client/reply.ts'
import { usageFailure } from '../failure.ts'
import { printReply } from '../output/output.ts'
import type { Session } from '../session.ts'
import { certificateOptions } from './ca.ts'
import { credsOptions, requestCreds } from './creds.ts'
import { hostTrust } from './host-trust.ts'
import { requestCertificate } from './key/certificate.ts'
import { namedKeyFiles, usualKeyFiles } from './key/key-files.ts'
import { PrivateFolder } from './key/private-folder.ts'
import { type Choice, chooseRole, parseMode } from './role.ts'
import { type SshRun, withSignals } from './run-ssh.ts'
import { chosenScope, requestScope } from './scope.ts'
import { addressOf, resolveTarget, SERVED_HOST, type Target } from './target.ts'
import { readSshWords, type SshWords } from './words.ts'

/** What the modes build upon. */
export interface Attempt {
  readonly mount: string
  readonly choice: Choice
  readonly words: SshWords
  readonly target: Target
  /** For the certificate, if it becomes one. */
  readonly request: Omit<Parameters<typeof requestCertificate>[1], 'publicKey'>
  readonly address: () => Promise<string>
  /** Of this session; made at the first call. */
  readonly folder: () => PrivateFolder
  /** Disposed when ssh has ended, or the attempt has. */
  readonly resources: AsyncDisposableStack
}

/** What a mode makes of an attempt. */
export interface Login {
  readonly options: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Put before ssh, as `sshpass` is. */
  readonly wrapper?: readonly string[]
  readonly thirdInput?: string
}

/** Returns the exit status of ssh. Throws a Failure when it comes to no session. */
export async function connect(session: Session): Promise<number> {
  const words = readSshWords(session.input.args)
  const mode = parseMode(session.input.text('mode'))
  return await withSignals(async (resources, run) => {
    const target = await resolveTarget(session, words)
    const address = once(() => addressOf(target.host))
    const mount = (session.input.text('mount-point') ?? 'ssh').replace(/^\/+|\/+$/g, '')
    const choice = await chooseRole(session, {
      mount,
      role: session.input.text('role'),
      mode,
      address: () => address().catch(() => undefined),
    })
    const principals = session.input.text('valid-principals') ?? target.user
    const { role, terms } = choice
    const { host, group, tag } = chosenScope(session) ?? {}
    if (choice.mode !== 'ca' && (group ?? tag) !== undefined) {
      throw usageFailure('-group and -tag are for certificates', 'say -mode=ca')
    }
    if (choice.mode === 'dynamic' && host !== undefined) {
      throw usageFailure(
        '-host is for certificates and one-time passwords',
        'say -mode=ca or -mode=otp',
      )
    }
    const attempt: Attempt = {
      mount,
      choice,
      words,
      target,
      request: {
        mount,
        role,
        principals,
        needs: target.needs,
        terms,
        scope: requestScope(session, target.host),
      },
      address,
      folder: once(() => resources.use(new PrivateFolder())),
      resources,
    }
    if (session.input.bool('no-exec')) return await show(session, attempt)
    const trust = await hostTrust(session, target, attempt.folder)
    const login = await logIn(session, attempt)
    return await run(sshRun(session, words, login, trust))
  })
}

async function logIn(session: Session, attempt: Attempt): Promise<Login> {
  if (attempt.choice.mode !== 'ca') return await credsOptions(session, attempt)
  return { options: await certificateOptions(session, attempt) }
}

/** Prints the credential instead of using it; there a certificate is for a key that stays. */
async function show(session: Session, attempt: Attempt): Promise<number> {
  if (attempt.choice.mode !== 'ca') {
    printReply(session, await requestCreds(session, attempt))
    return 0
  }
  const { publicKey } = namedKeyFiles(session) ?? usualKeyFiles(session)
  const { reply } = await requestCertificate(session, { ...attempt.request, publicKey })
  if (envelopeOf(reply)) printReply(session, reply)
  return 0
}

function sshRun(
  session: Session,
  { words, hostName }: SshWords,
  { options, env, wrapper = [], thirdInput }: Login,
  trust: readonly string[],
): SshRun {
  // The first of two values counts for ssh: ours come first.
  const ssh = session.input.text('ssh-executable') ?? 'ssh'
  const [program = ssh, ...args] = [...wrapper, ssh, ...trust, ...options, ...words]
  return {
    program,
    args,
    env: { ...session.terminal.environment, [SERVED_HOST]: hostName, ...env },
    thirdInput,
  }
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
