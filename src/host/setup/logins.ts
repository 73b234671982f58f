/** The logins that prove a set-up: one certificate gets in, those for other hosts do not. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { hostPrincipal, isAccount } from '../../ssh/scoped-name.ts'
import { readAccounts } from '../sshd/account.ts'
import { type SelfTest, type SshdPlace, startRehearsal } from '../sshd/self-test.ts'

export interface LoginRequest {
  readonly hostId: string
  /** Who logs in for the test; without it, the first account that can. */
  readonly account?: string | undefined
  /** Has the server certify a public key for an account on this host; without it a throw-away CA does. */
  readonly certify?: ((publicLine: string, account: string) => Promise<string>) | undefined
}

/** An id that no host of an operator has. */
const OTHER_HOST = 'postern-self-test.invalid'
const RELOAD_TIMEOUT_MS = 15_000
const CANDIDATES = 6
const FIRST_PERSON = 1000

/** Tries the logins on the running sshd, once it has read its new configuration. It has to trust the throw-away CA. */
export async function assertLogins(
  place: SshdPlace,
  request: LoginRequest,
  selfTest: SelfTest,
  account: string,
): Promise<void> {
  await logInForReal(place, request, selfTest, account)
  // One alone: some sshd shut out an address that fails more often.
  const isOpen = await selfTest.logIn(place, account, await foreignCertificate(selfTest, account))
  if (isOpen) throw new Error(`sshd lets ${account} in by a certificate for another host`)
}

/** Tries the logins on an sshd of its own; the account that got in. */
export async function rehearse(
  request: LoginRequest,
  selfTest: SelfTest,
  candidate: string,
  trusted: string,
): Promise<string> {
  const caFile = path.join(selfTest.folder, 'user_ca.pub')
  writeFileSync(caFile, `${trusted}${selfTest.caLine}\n`, { mode: 0o644 })
  const rehearsal = await startRehearsal(candidate, caFile)
  try {
    const account = await firstIn(rehearsal, request, selfTest)
    for (const certificate of [
      await foreignCertificate(selfTest, account),
      await selfTest.certify(account),
    ]) {
      if (!(await selfTest.logIn(rehearsal, account, certificate))) continue
      throw new Error(`sshd would let ${account} in by a certificate that is not for this host`)
    }
    return account
  } finally {
    await rehearsal.stop()
  }
}

async function firstIn(
  place: SshdPlace,
  request: LoginRequest,
  selfTest: SelfTest,
): Promise<string> {
  const accounts = request.account === undefined ? candidates() : [request.account]
  for (const account of accounts) {
    const certificate = await ownCertificate(request, selfTest, account)
    if (await selfTest.logIn(place, account, certificate)) return account
  }
  throw new Error(
    `sshd would let nobody in by a certificate for this host: tried ${accounts.join(', ')}. -account names who can log in`,
  )
}

/** Whoever runs this comes first, then people. */
function candidates(): string[] {
  const able = readAccounts().filter(({ name, hasShell }) => hasShell && isAccount(name))
  const people = able.filter(({ uid }) => uid >= FIRST_PERSON)
  const self = process.env['SUDO_USER'] ?? 'root'
  const names = [self, ...[...people, ...able].map(({ name }) => name)]
  // Whoever runs this may be of a directory, with a name that no certificate can carry.
  return [...new Set(names)].filter(isAccount).slice(0, CANDIDATES)
}

function ownCertificate(request: LoginRequest, selfTest: SelfTest, account: string) {
  return (
    request.certify?.(selfTest.publicLine, account) ??
    selfTest.certify(hostPrincipal(account, request.hostId))
  )
}

function foreignCertificate(selfTest: SelfTest, account: string): Promise<string> {
  return selfTest.certify(hostPrincipal(account, OTHER_HOST))
}

/** A reload takes a moment, in which nobody may listen. */
export async function logInForReal(
  place: SshdPlace,
  request: LoginRequest,
  selfTest: SelfTest,
  account: string,
): Promise<void> {
  const certificate = await ownCertificate(request, selfTest, account)
  const end = Date.now() + RELOAD_TIMEOUT_MS
  for (;;) {
    const isIn = await selfTest.logIn(place, account, certificate).catch((error: Error) => error)
    if (isIn === true) return
    if (Date.now() > end) {
      const reason = isIn === false ? 'the certificate is refused' : isIn.message
      throw new Error(`the running sshd does not let ${account} in: ${reason}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
