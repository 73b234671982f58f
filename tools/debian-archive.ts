/**
 * The Debian package: the executable with unit, config, user and completions (Debian Policy 3-10). Same input and time, same
 * bytes.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  type Dirent,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'

const root = path.resolve(import.meta.dirname, '..')

const CONFIG = 'etc/postern/postern.hcl'
const LOGROTATE = 'etc/logrotate.d/postern'
const CONFIG_FILES: readonly string[] = [CONFIG, LOGROTATE]

interface ArchiveOptions {
  /** Where the archive is written. */
  readonly file: string
  /** As package.json has it. */
  readonly version: string
  readonly executable: string
  /** Text of all licences. */
  readonly licenses: string
  /** Seconds since 1970, the time of every file inside. */
  readonly epoch: number
}

/** Needs dpkg-deb. */
export function buildDebianArchive(options: ArchiveOptions): void {
  const { file, epoch } = options
  const stage = mkdtempSync(`${file}-stage-`)
  try {
    fill(stage, options)
    // One thread: more of them make other bytes.
    const flags = ['--root-owner-group', '-Zzstd', '--threads-max=1']
    const env = { ...process.env, SOURCE_DATE_EPOCH: `${epoch}` }
    execFileSync('dpkg-deb', [...flags, '--build', stage, file], { env, stdio: 'pipe' })
  } finally {
    rmSync(stage, { recursive: true })
  }
}

function fill(stage: string, { executable, version, licenses }: ArchiveOptions): void {
  const put = (place: string, content: string | Buffer, mode = 0o644): void => {
    const file = path.join(stage, place)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, content)
    // Not the mode of writeFileSync: the umask would have a say.
    chmodSync(file, mode)
  }
  const packaging = (name: string) => readFileSync(path.join(root, 'packaging', name))
  const completion = (shell: string) =>
    execFileSync(executable, ['completion', shell], { env: {}, encoding: 'utf8' })

  mkdirSync(path.join(stage, 'usr/bin'), { recursive: true })
  cpSync(executable, path.join(stage, 'usr/bin/postern'))
  symlinkSync('postern', path.join(stage, 'usr/bin/postern-host'))
  for (const unit of ['postern.service', 'postern-host.service']) {
    put(`usr/lib/systemd/system/${unit}`, packaging(unit))
  }
  put(CONFIG, packaging('debian/postern.hcl'), 0o640)
  put(LOGROTATE, packaging('debian/postern.logrotate'))
  put('usr/share/bash-completion/completions/postern', completion('bash'))
  put('usr/share/zsh/vendor-completions/_postern', completion('zsh'))
  put('usr/share/fish/vendor_completions.d/postern.fish', completion('fish'))
  put('usr/share/doc/postern/copyright', licenses)
  const changes = readFileSync(path.join(root, 'CHANGELOG.md'))
  put('usr/share/doc/postern/changelog.gz', gzipSync(changes, { level: 9 }))

  const files = entriesOf(stage)
    .filter((entry) => entry.isFile())
    .map(nameIn(stage))
    .sort()
  const bytes = files.reduce((sum, name) => sum + statSync(path.join(stage, name)).size, 0)
  const sums = files
    .filter((name) => !CONFIG_FILES.includes(name))
    .map((name) => `${md5(path.join(stage, name))}  ${name}\n`)
  put('DEBIAN/md5sums', sums.join(''))
  put('DEBIAN/conffiles', CONFIG_FILES.map((name) => `/${name}\n`).join(''))
  put('DEBIAN/control', control(version, Math.ceil(bytes / 1024)))
  for (const script of ['postinst', 'prerm', 'postrm']) {
    put(`DEBIAN/${script}`, packaging(`debian/${script}`), 0o755)
  }
  const folders = entriesOf(stage)
    .filter((entry) => entry.isDirectory())
    .map(nameIn(stage))
  for (const name of ['', ...folders]) chmodSync(path.join(stage, name), 0o755)
  // Nobody but root and the service reads config and keys; postinst sets the group.
  chmodSync(path.join(stage, path.dirname(CONFIG)), 0o750)
}

function control(version: string, kibibytes: number): string {
  // A tilde sorts before the end: 1.0.0~rc.1 is older than 1.0.0.
  return `Package: postern
Version: ${version.replace('-', '~')}
Architecture: amd64
Maintainer: Postern maintainers <maintainers@postern.invalid>
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6, passwd, init-system-helpers
Recommends: openssh-client
Suggests: sshpass, logrotate
Section: admin
Priority: optional
Description: SSH access broker: one-time passwords, dynamic keys and certificates
 Postern issues one-time passwords, dynamic keys and certificates for SSH over
 Vault's HTTP API. This package has the server, its command line and the
 program for target machines, postern-host, with Node inside.
`
}

function entriesOf(stage: string): Dirent[] {
  return readdirSync(stage, { recursive: true, withFileTypes: true })
}

function nameIn(stage: string): (entry: Dirent) => string {
  return ({ parentPath, name }) => path.relative(stage, path.join(parentPath, name))
}

function md5(file: string): string {
  return createHash('md5').update(readFileSync(file)).digest('hex')
}
