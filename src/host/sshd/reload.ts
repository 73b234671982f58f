/** Has the running sshd read its configuration again; sessions and, when it can't, the listener go on as they are. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

const UNITS = ['ssh.service', 'sshd.service']

/** False when none runs here: then the next one to start reads the files. Throws when it refuses to reload. */
export function reloadSshd(pidFile: string): boolean {
  if (existsSync('/run/systemd/system')) {
    const unit = UNITS.find((name) => systemctl('is-active', '--quiet', name).status === 0)
    if (unit !== undefined) {
      const { status, stderr } = systemctl('reload', unit)
      if (status !== 0) throw new Error(`systemctl reload ${unit}: ${stderr.trim()}`)
      return true
    }
  }
  const pid = runningSshd(pidFile)
  if (pid === undefined) return false
  process.kill(pid, 'SIGHUP')
  return true
}

function systemctl(...args: string[]) {
  return spawnSync('systemctl', args, { encoding: 'utf8', timeout: 30_000 })
}

/** The process in the pid file, if it is an sshd: a number that is left over may be anybody's by now. */
export function runningSshd(pidFile: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8').trim())
    const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
    return Number.isSafeInteger(pid) && pid > 1 && name === 'sshd' ? pid : undefined
  } catch {
    return undefined
  }
}
