/**
 * Makes this host take certificates that are meant for it, and those alone (protocols 5.3). All is tried beside the
 * running sshd before it is changed, and put back when any step fails or the process is cut off: nobody is locked out.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { sshdConfig, sshdSettings } from '../../ssh/host/drop-in.ts'
import { parseAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import { hostPaths } from '../paths.ts'
import { overridden } from '../sshd/command-line.ts'
import { type Directive, readDirectives } from '../sshd/directive.ts'
import { generalSettings, matchConflicts } from '../sshd/effective.ts'
import { ownPlace, type SelfTest, startSelfTest } from '../sshd/self-test.ts'
import { installedVersion } from '../sshd/version.ts'
import {
  assertNoOtherKrl,
  assertSettings,
  assertSyntax,
  refuseConflicts,
  refuseOverrides,
} from './assert.ts'
import { beginJournal, endJournal, reloadAndSettle, undoJournal } from './journal.ts'
import { assertLogins, type LoginRequest, rehearse } from './logins.ts'
import { presentTopLines, topLines, withoutTopLines, withTopLines } from './placement.ts'

export interface SetupRequest extends LoginRequest {
  readonly groups: readonly string[]
  readonly tags: readonly (readonly [key: string, value: string])[]
  /** Lines of authorized_keys: the CAs to trust. */
  readonly userCas: readonly string[]
  readonly keepsAuthorizedKeys: boolean
  /** Gets a line for each step that is done. */
  readonly say: (line: string) => void
}

/** Throws, with everything as it was, when this host can't be set up; the text says why. */
export async function setUpHost(request: SetupRequest): Promise<void> {
  if (undoJournal()) request.say('a set-up that was cut off is undone')
  const stop = (signal: string) => {
    undoJournal()
    process.stderr.write(`postern: ${signal}: everything is as it was\n`)
    process.exit(1)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.once(signal, stop)
  const selfTest = await startSelfTest()
  try {
    await setUp(request, selfTest)
    endJournal()
  } catch (error) {
    undoJournal()
    throw error
  } finally {
    selfTest.end()
    for (const signal of signals) process.off(signal, stop)
  }
}

async function setUp(request: SetupRequest, selfTest: SelfTest): Promise<void> {
  const { say, userCas } = request
  const cas = userCas.map((line) => line.trim())
  if (cas.length === 0) throw new Error('there is no CA to trust')
  for (const line of cas) parseAuthorizedKey(line)
  assertPrograms()
  const sshVersion = installedVersion()
  const config = realpathSync(hostPaths.sshdConfig)
  const before = readFileSync(config, 'utf8')
  const options = { ...request, sshVersion, hostCertificates: keptCertificates(before) }
  const wanted = sshdSettings(options)
  const dropIn = sshdConfig(options)
  assertSyntax(config)
  const current = await generalSettings(config)
  assertNoOtherKrl(current)
  const pidFile = current.get('pidfile')?.[0] ?? hostPaths.sshdPid
  const directives = readDirectives(config).filter(({ file }) => file !== hostPaths.dropIn)
  refuseConflicts(matchConflicts(directives, wanted))
  refuseOverrides(overridden(pidFile, wanted))
  tellOfEnds(request, current)

  const top = topLines(dropIn, ownDirectives(directives, config), sshVersion)
  const isIncluded = top !== dropIn
  const hasKrl = existsSync(hostPaths.revokedKeys)
  beginJournal({
    config: [config, ...(isIncluded ? [hostPaths.dropIn] : [])],
    // One that is there may be replaced by a newer one meanwhile.
    named: [...(hasKrl ? [] : [hostPaths.revokedKeys]), hostPaths.userCa],
    folders: [hostPaths.dropInFolder, hostPaths.sshFolder],
    pidFile,
  })
  makeFolder(hostPaths.sshFolder)
  if (!hasKrl) writeFileAtomically(hostPaths.revokedKeys, '', 0o644)
  const trusted = `${cas.join('\n')}\n`
  writeIfOther(hostPaths.userCa, trusted)
  say('the files that sshd is to read are there')

  // The same lines in the same order as they will have: sshd takes the first value of each.
  const candidate = path.join(selfTest.folder, 'sshd_config')
  writeFileSync(candidate, dropIn + withoutTopLines(before))
  assertSyntax(candidate)
  await assertSettings(candidate, wanted, directives)
  say('the new settings hold for every account and every Match block')
  const account = await rehearse(request, selfTest, candidate, trusted)
  say(`a rehearsal let ${account} in by a certificate for this host, and by no other`)

  const after = withTopLines(before, top)
  let hasChanged = false
  if (isIncluded) {
    makeFolder(hostPaths.dropInFolder)
    hasChanged = writeIfOther(hostPaths.dropIn, dropIn)
  }
  hasChanged = writeIfOther(config, after) || hasChanged
  assertSyntax(config)
  await assertSettings(config, wanted, directives)
  say(`sshd's configuration is ${hasChanged ? 'in place' : 'in place already'}`)
  // What is in place may not have been read: an earlier run may have come no further.
  if (!reloadAndSettle(pidFile)) {
    say('sshd is not running here: it will start with the new configuration')
    return
  }
  writeFileAtomically(hostPaths.userCa, `${trusted}${selfTest.caLine}\n`, 0o644)
  const place = ownPlace((await generalSettings(config)).get('listenaddress') ?? [])
  await assertLogins(place, request, selfTest, account)
  writeIfOther(hostPaths.userCa, trusted)
  say(`sshd lets ${account} in by a certificate for this host, and by no other`)
}

/** Of the main file alone, without what an earlier set-up has put on top. */
function ownDirectives(directives: readonly Directive[], config: string): Directive[] {
  const isOurs = ({ keyword, value }: Directive) =>
    keyword === 'include' && value === hostPaths.dropIn
  return directives
    .filter((directive) => directive.file === config && !isOurs(directive))
    .map((directive) => ({ ...directive, file: hostPaths.sshdConfig }))
}

/** Host certificates that the service has put there. */
function keptCertificates(config: string): string[] {
  const text = existsSync(hostPaths.dropIn) ? readFileSync(hostPaths.dropIn, 'utf8') : ''
  const ours = presentTopLines(config) + text
  return [...ours.matchAll(/^HostCertificate (.+)$/gm)].map(([, file = '']) => file)
}

/** Logins that will no longer be possible. */
function tellOfEnds(
  { say, keepsAuthorizedKeys }: SetupRequest,
  current: ReadonlyMap<string, readonly string[]>,
): void {
  const isAnother = (keyword: string, ours: string) =>
    ![ours, 'none', undefined].includes(current.get(keyword)?.[0])
  if (isAnother('trustedusercakeys', hostPaths.userCa)) {
    say(`certificates of ${current.get('trustedusercakeys')} will let nobody in any more`)
  }
  if (!keepsAuthorizedKeys && isAnother('authorizedkeysfile', 'none')) {
    say('authorized_keys will let nobody in any more (-keep-authorized-keys leaves them)')
  }
}

function assertPrograms(): void {
  if (!existsSync(hostPaths.sshd)) throw new Error(`there is no ${hostPaths.sshd}`)
  if (spawnSync('ssh', ['-V']).error) {
    throw new Error('there is no ssh here, which the test logins need')
  }
}

function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
}

/** Keeps the mode of a file that is there. True when it was another. */
function writeIfOther(file: string, text: string): boolean {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return false
  const mode = existsSync(file) ? statSync(file).mode & 0o7777 : 0o644
  writeFileAtomically(file, text, mode)
  return true
}
