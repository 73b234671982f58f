/**
 * Keeps the drop-in as the bundle says: the host's groups and tags, and its host certificate. sshd tries the new
 * configuration before it becomes the real one, and reads it then.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseSshVersion, sshdConfig } from '../../ssh/host/drop-in.ts'
import type { BundleStatement } from '../../ssh/host/statement.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import { hostPaths } from '../paths.ts'
import { withoutTopLines, withTopLines } from '../setup/placement.ts'
import { generalSettings } from '../sshd/effective.ts'
import { reloadSshd } from '../sshd/reload.ts'
import { readIfThere } from './bundle.ts'

/** True when sshd has been given another drop-in. A host that was never set up is left alone. */
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
    // An operator's decision at set-up.
    keepsAuthorizedKeys: !/^AuthorizedKeysFile none$/m.test(present),
    hostCertificates,
    sshVersion: parseSshVersion(spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr ?? ''),
  })
  const after = onTop ? withTopLines(main, text) : text
  if (after === present) return false
  assertTaken(text + withoutTopLines(main))
  const place = onTop ? config : hostPaths.dropIn
  writeFileAtomically(place, after, onTop ? statSync(config).mode & 0o7777 : 0o644)
  await reload()
  return true
}

export async function reload(): Promise<void> {
  const settings = await generalSettings(hostPaths.sshdConfig)
  reloadSshd(settings.get('pidfile')?.[0] ?? hostPaths.sshdPid)
}

/** Throws when sshd would refuse the configuration. */
function assertTaken(config: string): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-host-'))
  try {
    const candidate = path.join(folder, 'sshd_config')
    writeFileSync(candidate, config)
    const { status, stderr } = spawnSync(hostPaths.sshd, ['-t', '-f', candidate], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`sshd refuses the new configuration: ${stderr.trim()}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function pairOf(tag: string): [string, string] {
  const at = tag.indexOf('=')
  return [tag.slice(0, at), tag.slice(at + 1)]
}
