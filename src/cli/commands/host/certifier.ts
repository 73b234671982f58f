/** What commands for the host itself need: root, a server, and a certificate of it to log in with. */
import { lookUpVariable } from '../../../client/environment.ts'
import { isObject, textAt } from '../../../client/json.ts'
import { envelopeOf } from '../../../client/reply.ts'
import { Failure } from '../../failure.ts'
import { type Session, UNWRAPPED } from '../../session.ts'
import { mountOf } from './host-path.ts'

export function assertRoot(): void {
  if (process.getuid?.() !== 0)
    throw new Failure('postern: only root can read and change what sshd goes by')
}

/** Asks for what a person would ask for: a certificate for an account on this host. */
export function certifier(
  session: Session,
  role: string,
  host: string,
): (publicKey: string, account: string) => Promise<string> {
  return async (publicKey: string, account: string): Promise<string> => {
    const body = { public_key: publicKey, valid_principals: account, host }
    const path = `${mountOf(session)}/sign/${role}`
    const options = { ...UNWRAPPED, body }
    const data = envelopeOf(await session.ask('signing the test key', 'PUT', path, options))?.data
    const certificate = isObject(data) ? textAt(data, 'signed_key') : undefined
    if (certificate === undefined) throw new Failure('postern: the server signed nothing')
    return certificate.trim()
  }
}

/** The address that is taken when nobody names one is no server of this host. */
export function isServerNamed({ input, terminal }: Session): boolean {
  const variable = lookUpVariable(terminal.environment, 'ADDR')?.value
  return (input.text('address') ?? variable ?? '') !== ''
}
