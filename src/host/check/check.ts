/** The doctor of a host: looks at everything that decides who gets in, and changes nothing. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Reply } from '../../client/reply.ts'
import { hostPaths } from '../paths.ts'
import { logInForReal, rehearse } from '../setup/logins.ts'
import { generalSettings } from '../sshd/effective.ts'
import { ownPlace, startSelfTest } from '../sshd/self-test.ts'
import { checkAuthorizedKeys, checkFiles } from './files.ts'
import { type Finding, fault } from './finding.ts'
import { checkServer, checkService } from './server.ts'
import { checkSettings, checkSshd, readInstalled } from './settings.ts'

export interface CheckOptions {
  /** Asks a server for the CAs that it names; for hosts without agent. */
  readonly ask: (() => Promise<Reply>) | undefined
  readonly skipsLogin: boolean
  /** Who logs in for the test; without it, the first account that can. */
  readonly account: string | undefined
  /** Has the server certify a public key for an account on this host. */
  readonly certify?: (hostId: string) => (publicLine: string, account: string) => Promise<string>
}

export interface Checked {
  readonly hostId: string | undefined
  readonly findings: readonly Finding[]
}

export async function checkHost(options: CheckOptions): Promise<Checked> {
  const { stderr, status } = spawnSync(hostPaths.sshd, ['-t'], { encoding: 'utf8' })
  if (status !== 0) {
    return {
      hostId: undefined,
      findings: [fault('settings', `sshd refuses its configuration: ${stderr.trim()}`)],
    }
  }
  const installed = readInstalled()
  if (installed === undefined) {
    const text = 'this host is not set up: sshd lets in whom it did before'
    return { hostId: undefined, findings: [fault('set-up', text, 'postern host setup')] }
  }
  const { hostId } = installed
  const settings = await generalSettings(hostPaths.sshdConfig)
  const findings = [
    ...(await checkSettings(installed)),
    ...(await checkSshd()),
    ...checkFiles(installed, Date.now()),
    ...checkAuthorizedKeys((settings.get('authorizedkeysfile')?.[0] ?? '').split(' ')),
    ...checkService(Date.now()),
    ...(await checkServer(options.ask)),
    ...(options.skipsLogin ? [] : await checkLogin(hostId, options)),
  ]
  return { hostId, findings }
}

/** By a certificate of the server where there is a right to sign, on the running sshd; else on one that is started for it. */
async function checkLogin(hostId: string, { account, certify }: CheckOptions): Promise<Finding[]> {
  const selfTest = await startSelfTest()
  try {
    const request = { hostId, account, certify: certify?.(hostId) }
    const cas = existsSync(hostPaths.userCa) ? readFileSync(hostPaths.userCa, 'utf8') : ''
    const config = path.join(selfTest.folder, 'sshd_config')
    writeFileSync(config, readFileSync(hostPaths.sshdConfig))
    const user = await rehearse(request, selfTest, config, cas)
    if (certify) {
      const settings = await generalSettings(hostPaths.sshdConfig)
      await logInForReal(ownPlace(settings.get('listenaddress') ?? []), request, selfTest, user)
    }
    return []
  } catch (error) {
    return [fault('login', (error as Error).message)]
  } finally {
    selfTest.end()
  }
}
