/** The files that sshd needs: there, whole, and nobody's but root's (hosts.md, items 8 and 10). */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs'
import path from 'node:path'
import { decodeBase64 } from '../../ssh/base64.ts'
import { parseCertificate } from '../../ssh/certificate/certificate.ts'
import { parseAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { parseKrl } from '../../ssh/krl/parse-krl.ts'
import { hostPaths } from '../paths.ts'
import { hasJournal } from '../setup/journal.ts'
import { readAccounts } from '../sshd/account.ts'
import { type Finding, fault, note, warning } from './finding.ts'
import type { Installed } from './settings.ts'

const OWN = [
  '/etc/ssh',
  hostPaths.sshdConfig,
  hostPaths.dropInFolder,
  hostPaths.dropIn,
  hostPaths.sshFolder,
  hostPaths.userCa,
  hostPaths.revokedKeys,
  hostPaths.config,
  hostPaths.stateFolder,
  hostPaths.state,
]

const MAX_KEY_FILE_BYTES = 16 * 1024 * 1024

export function checkFiles({ wanted }: Installed, now: number): Finding[] {
  const certificates = wanted.filter(([keyword]) => keyword === 'HostCertificate')
  return [
    ...(hasJournal()
      ? [fault('set-up', 'a set-up was cut off', 'run postern host setup again')]
      : []),
    ...OWN.flatMap(checkMode),
    ...checkKrl(),
    ...checkCas(),
    ...certificates.flatMap(([, file]) => checkHostCertificate(file, now)),
  ]
}

function checkMode(file: string): Finding[] {
  if (!existsSync(file)) return []
  const { uid, mode } = statSync(file)
  if (uid === 0 && (mode & 0o022) === 0) return []
  return [
    fault(
      'files',
      `others than root may write ${file}`,
      `chown root ${file} && chmod go-w ${file}`,
    ),
  ]
}

function checkKrl(): Finding[] {
  const file = hostPaths.revokedKeys
  if (!existsSync(file)) {
    return [fault('krl', `${file} is missing: sshd refuses every key`, `touch ${file}`)]
  }
  const bytes = readFileSync(file)
  if (bytes.length === 0) return []
  try {
    parseKrl(bytes)
    return []
  } catch (error) {
    const text = `${file} is damaged, and sshd may refuse every key: ${(error as Error).message}`
    return [fault('krl', text, `: > ${file}`)]
  }
}

function checkCas(): Finding[] {
  const file = hostPaths.userCa
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  const keys = lines.filter((line) => /^[^#\s]/.test(line))
  try {
    for (const line of keys) parseAuthorizedKey(line)
  } catch (error) {
    return [fault('ca', `${file}: ${(error as Error).message}`, 'run postern host setup again')]
  }
  if (keys.length > 0) return []
  return [fault('ca', `${file} names no CA: nobody gets in`, 'run postern host setup again')]
}

function checkHostCertificate(file: string, now: number): Finding[] {
  if (!existsSync(file)) return [warning('host certificate', `${file} is missing`)]
  try {
    const blob = decodeBase64(readFileSync(file, 'utf8').split(' ')[1] ?? '')
    const left = Number(parseCertificate(blob).validBefore) * 1000 - now
    if (left > 0) return []
    return [warning('host certificate', `${file} has expired`, 'systemctl start postern-host')]
  } catch (error) {
    return [warning('host certificate', `${file}: ${(error as Error).message}`)]
  }
}

/** Keys that let somebody in without Postern, where sshd still looks for them. */
export function checkAuthorizedKeys(patterns: readonly string[]): Finding[] {
  if (patterns.length === 0 || patterns[0] === 'none') return []
  const files = readAccounts().flatMap(({ name, home }) =>
    patterns.map((pattern) => {
      const named = pattern.replaceAll('%h', home).replaceAll('%u', name).replaceAll('%%', '%')
      return path.resolve(home || '/', named)
    }),
  )
  return [...new Set(files)].flatMap((file) => (existsSync(file) ? checkKeyFile(file) : []))
}

function checkKeyFile(file: string): Finding[] {
  let text: string
  try {
    text = readUsersFile(file)
  } catch (error) {
    return [warning('keys', `${file} can't be looked at: ${(error as Error).message}`)]
  }
  const lines = text.split('\n')
  const isKey = (line: string) => /^\s*[^#\s]/.test(line)
  // Before 10.3 such a line takes certificates without principals for any account.
  const isCa = (line: string) => isKey(line) && /^\s*(\S*,)?cert-authority\b/i.test(line)
  const cas = lines.flatMap((line, index) => (isCa(line) ? [index + 1] : []))
  const count = lines.filter((line) => isKey(line) && !isCa(line)).length
  return [
    ...cas.map((line) =>
      fault(
        'keys',
        `${file}:${line} trusts a CA of its own, past every limit`,
        `sed -i ${line}d ${file}`,
      ),
    ),
    ...(count > 0
      ? [note('keys', `${file} lets ${count} key(s) in without Postern`, `rm ${file}`)]
      : []),
  ]
}

/** Of a file that its user may have put anything in the place of: a pipe would wait for ever, a device never end. */
function readUsersFile(file: string): string {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(descriptor)
    // sshd passes over what is no file.
    if (!stat.isFile()) throw new TypeError('it is no file')
    if (stat.size > MAX_KEY_FILE_BYTES) throw new TypeError('it is too large')
    return readFileSync(descriptor, 'utf8')
  } finally {
    closeSync(descriptor)
  }
}
