/** Undoes a set-up that is done: sshd's configuration becomes what it was without Postern, then its files go. */
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { removeFile, writeFileAtomically } from '../atomic-file.ts'
import { hasSessionHook, PAM_FILE } from '../check/server.ts'
import { OTP_LOGINS } from '../otp/record.ts'
import { hostPaths } from '../paths.ts'
import { readIfThere } from '../service/bundle.ts'
import { generalSettings } from '../sshd/effective.ts'
import { assertSyntax } from './assert.ts'
import { CONFIG_HEADER, stopService } from './join.ts'
import { reloadAndSettle, undoJournal } from './journal.ts'
import { withoutTopLines } from './placement.ts'

/**
 * May be cut off and run again. Throws before anything is changed when sshd would not take what is left. False when
 * there was nothing to undo.
 */
export async function leaveHost(say: (line: string) => void): Promise<boolean> {
  if (undoJournal()) say('a set-up that was cut off is undone')
  const config = realpathSync(hostPaths.sshdConfig)
  const text = readFileSync(config, 'utf8')
  const rest = withoutTopLines(text)
  const places = [hostPaths.dropIn, hostPaths.sshFolder, hostPaths.stateFolder]
  if (rest === text && !places.some((place) => existsSync(place))) return false
  await assertRest(rest)
  await stopService()
  const pidFile = (await generalSettings(config)).get('pidfile')?.[0] ?? hostPaths.sshdPid
  if (rest !== text) writeFileAtomically(config, rest, statSync(config).mode & 0o7777)
  if (existsSync(hostPaths.dropIn)) removeFile(hostPaths.dropIn)
  assertSyntax(config)
  say("sshd's configuration is without Postern")
  // Not before sshd has forgotten them: without its KRL it refuses every key.
  if (reloadAndSettle(pidFile)) say('sshd has read it')
  // /run/postern itself is the server's too, with the socket of one that runs here.
  for (const place of [hostPaths.sshFolder, hostPaths.stateFolder, hostPaths.status, OTP_LOGINS]) {
    rmSync(place, { recursive: true, force: true })
  }
  // One that a person wrote may be for one-time passwords.
  if (readIfThere(hostPaths.config)?.startsWith(CONFIG_HEADER)) removeFile(hostPaths.config)
  say("Postern's files are gone")
  if (hasSessionHook()) say(`take the line with ${hostPaths.sessionHook} out of ${PAM_FILE}`)
  return true
}

/** The main file's other includes stay as they are, so that it can be judged from another place. */
async function assertRest(rest: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-leave-'))
  try {
    const candidate = path.join(folder, 'sshd_config')
    writeFileSync(candidate, rest)
    assertSyntax(candidate)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
