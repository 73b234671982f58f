/**
 * The Debian packages that tests and measurements need, and their installation where this process
 * may do it. Nothing is skipped when one is missing: the caller is told the line to type.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'

export const testPackages: readonly string[] = [
  'openssh-server',
  'openssh-client',
  'iproute2',
  'sshpass',
  'sudo',
  'libpam-modules',
  'busybox',
  'curl',
  'jq',
  'bsdutils',
  'zsh',
  'fish',
  'systemd',
  'python3-hvac',
]

export const benchPackages: readonly string[] = ['openssh-client', 'wrk']

const POLICY_FILE = '/usr/sbin/policy-rc.d'

/** True when all are installed afterwards; else the reason is on stderr and the caller exits with 1. */
export function ensurePackages(names: readonly string[]): boolean {
  const missing = names.filter((name) => !isInstalled(name))
  if (missing.length === 0) return true
  const list = missing.join(' ')
  if (process.getuid?.() !== 0) {
    process.stderr.write(
      `Debian packages are missing: ${list}\nInstall them, then run this again:\n\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${list}\n\n`,
    )
    return false
  }
  process.stderr.write(`installing Debian packages: ${list}\n`)
  const isDone = withServicesHeldBack(
    () =>
      apt(['update', '-qq']) &&
      apt(['install', '-y', '-qq', '--no-install-recommends', ...missing]),
  )
  if (!isDone) process.stderr.write(`apt-get could not install ${list}\n`)
  return isDone
}

function isInstalled(name: string): boolean {
  const query = spawnSync('dpkg', ['--status', name], { encoding: 'utf8' })
  return /^Status: install ok installed$/m.test(query.stdout)
}

function apt(args: readonly string[]): boolean {
  const run = spawnSync('apt-get', args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    encoding: 'utf8',
  })
  if (run.status === 0) return true
  process.stderr.write(`${run.error?.message ?? run.stdout + run.stderr}\n`)
  return false
}

/** Debian starts a service when its package is installed; a test machine gets no sshd of its own. */
function withServicesHeldBack(install: () => boolean): boolean {
  const before = existsSync(POLICY_FILE)
    ? { text: readFileSync(POLICY_FILE), mode: statSync(POLICY_FILE).mode }
    : undefined
  writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return install()
  } finally {
    if (before) writeFileSync(POLICY_FILE, before.text, { mode: before.mode })
    else rmSync(POLICY_FILE)
  }
}
