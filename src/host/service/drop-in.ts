/**
 * Keeps the drop-in as the bundle says: the host's groups and tags, and its host certificate. sshd tries the new
 * configuration before it becomes the real one, and once more before it has to read it.
 */
import { spawnSync } from 'node:child_process'
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
import { parseSshVersion, sshdConfig } from '../../ssh/host/drop-in.ts'
import type { BundleStatement } from '../../ssh/host/statement.ts'
import { removeFile, writeFileAtomically } from '../atomic-file.ts'
import { hostPaths } from '../paths.ts'
import { assertSyntax } from '../setup/assert.ts'
import { presentTopLines, withoutTopLines, withTopLines } from '../setup/placement.ts'
import { generalSettings } from '../sshd/effective.ts'
import { reloadSshd } from '../sshd/reload.ts'
import { readIfThere } from './bundle.ts'

/** True when the drop-in is another now. A host that was never set up is left alone. */
export async function refreshDropIn(
  bundle: BundleStatement,
  hostCertificates: readonly string[],
): Promise<boolean> {
  const config = realpathSync(hostPaths.sshdConfig)
  const main = readFileSync(config, 'utf8')
  const file = readIfThere(hostPaths.dropIn)
  const onTop = file === undefined && withoutTopLines(main) !== main
  if (file === undefined && !onTop) return false
  const present = file ?? main
  const text = sshdConfig({
    hostId: bundle.hostId,
    groups: bundle.groups,
    tags: bundle.tags.map((tag) => pairOf(tag)),
    // An operator's decision at set-up. Below our lines another one may stand, for an AuthorizedKeysCommand.
    keepsAuthorizedKeys: !/^AuthorizedKeysFile none$/m.test(file ?? presentTopLines(main)),
    hostCertificates,
    sshVersion: parseSshVersion(spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr ?? ''),
  })
  const after = onTop ? withTopLines(main, text) : text
  if (after === present) return false
  assertTaken(text + withoutTopLines(main))
  const place = onTop ? config : hostPaths.dropIn
  beforeChange()
  writeFileAtomically(place, after, onTop ? statSync(config).mode & 0o7777 : 0o644)
  return true
}

/** There while something has changed that sshd reads at its start alone: a service that was killed does the rest later. */
const RELOAD_DUE = path.join(hostPaths.stateFolder, 'reload-due')

/** To be called before such a change. */
export function beforeChange(): void {
  writeFileAtomically(RELOAD_DUE, '', 0o600)
}

/** Has sshd read what has changed; it would end if it could not. True when there was something. */
export async function reloadIfDue(): Promise<boolean> {
  if (!existsSync(RELOAD_DUE)) return false
  assertSyntax(hostPaths.sshdConfig)
  const settings = await generalSettings(hostPaths.sshdConfig)
  reloadSshd(settings.get('pidfile')?.[0] ?? hostPaths.sshdPid)
  removeFile(RELOAD_DUE)
  return true
}

/** Throws when sshd would refuse the configuration. */
function assertTaken(config: string): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-host-'))
  try {
    const candidate = path.join(folder, 'sshd_config')
    writeFileSync(candidate, config)
    assertSyntax(candidate)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function pairOf(tag: string): [string, string] {
  const at = tag.indexOf('=')
  return [tag.slice(0, at), tag.slice(at + 1)]
}
