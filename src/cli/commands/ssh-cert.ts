/** `ssh-cert`: what ssh runs for the block of `ssh-config` before it connects. Asks the server only when it has to. */
import path from 'node:path'
import type { JsonObject } from '../../client/json.ts'
import type { Command } from '../declaration/command.ts'
import { textFlag } from '../declaration/flag.ts'
import { Failure, usageFailure } from '../failure.ts'
import { warn } from '../output/output.ts'
import type { Session } from '../session.ts'
import { sshFlags } from '../ssh/flags.ts'
import { requestCertificate } from '../ssh/key/certificate.ts'
import { CertificateStore } from '../ssh/key/certificate-store.ts'
import { namedKeyFiles } from '../ssh/key/key-files.ts'
import { chosenScope, hostFolderName, requestScope } from '../ssh/scope.ts'
import { assertPlain, SERVED_HOST } from '../ssh/target.ts'

/** Says that the block is not to be used. */
const NO_MATCH = 1

export const sshCert: Command = {
  args: [{ name: 'host' }, { name: 'user' }, { name: 'host name', isOptional: true }],
  flags: [
    sshFlags.role,
    sshFlags.mountPoint,
    sshFlags.validPrincipals,
    sshFlags.publicKey,
    sshFlags.privateKey,
    sshFlags.host,
    sshFlags.group,
    sshFlags.tag,
    textFlag('extensions', 'names', "Extensions to ask for; the role's own when absent."),
    textFlag('folder', 'path', 'Where the certificates are kept.'),
  ],
  description:
    'HOST is what was typed, HOST NAME what ssh makes of it: with it there is a certificate for each host. Ends with status 0 when there is a certificate for the user that is good for another minute. ssh runs it before a connection; people have no need to.',
  async run(session) {
    const { input, terminal } = session
    const [host = '', user = '', hostName] = input.args
    const served = terminal.environment[SERVED_HOST]
    // `postern ssh` has brought its own for this host; jump hosts on the way go on asking.
    if (served === '*' || served?.toLowerCase() === host.toLowerCase()) return NO_MATCH
    assertPlain('host', host)
    assertPlain('user', user)
    if (hostName !== undefined) assertPlain('host', hostName)
    const [folder, role] = [input.text('folder'), input.text('role')]
    if (folder === undefined || role === undefined) {
      throw usageFailure('ssh-cert needs -role and -folder', 'postern ssh-config writes them')
    }
    // ssh writes %h in small letters where it stands for a file.
    const own = hostName === undefined ? [] : [hostFolderName(hostName.toLowerCase())]
    const store = new CertificateStore(path.join(folder, ...own), user)
    const scope = hostName === undefined ? chosenScope(session) : requestScope(session, hostName)
    return await keepReady(session, store, { role, user, scope })
  },
}

async function keepReady(
  session: Session,
  store: CertificateStore,
  { role, user, scope }: { role: string; user: string; scope: JsonObject | undefined },
): Promise<number> {
  const now = Date.now()
  const existing = namedKeyFiles(session)
  if (store.isReady(existing?.publicKey, now)) return 0
  const { input } = session
  try {
    const isDone = await store.exclusively(async () => {
      const { publicKey } = existing ?? { publicKey: await store.publicKey() }
      // Another one may have come first.
      if (store.isReady(publicKey, now)) return
      const { line } = await requestCertificate(session, {
        mount: (input.text('mount-point') ?? 'ssh').replace(/^\/+|\/+$/g, ''),
        role,
        publicKey,
        principals: input.text('valid-principals') ?? user,
        needs: [],
        extensions: input.text('extensions')?.split(','),
        scope,
      })
      store.write(line)
    })
    if (isDone || store.isReady(existing?.publicKey, now, 0)) return 0
    throw new Failure('postern: another run that asked for a certificate got none')
  } catch (error) {
    if (!store.isReady(existing?.publicKey, now, 0)) throw error
    warn(
      session,
      `the certificate is about to expire: ${(error as Error).message.split('\n', 1)[0]}`,
    )
    return 0
  }
}
