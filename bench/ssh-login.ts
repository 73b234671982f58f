/**
 * `node bench/ssh-login.ts [runs]`: wall time of `postern ssh` of the built package in certificate mode beside plain ssh
 * with a ready certificate, for the same sshd on loopback, in turn. Needs root.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startSshHosts } from '../test/support/ssh-hosts.ts'
import { layOutPackage } from './package.ts'

const runs = Number(process.argv[2] ?? 20)
const folder = mkdtempSync(path.join(tmpdir(), 'postern-login-'))
try {
  await using hosts = await startSshHosts()
  const postern = layOutPackage(folder)
  const env = {
    ...process.env,
    ...hosts.env,
    PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`,
  }
  const key = path.join(folder, 'key')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const signed = await hosts.api('PUT', 'ssh/sign/web', {
    public_key: readFileSync(`${key}.pub`, 'utf8'),
    valid_principals: hosts.user,
  })
  writeFileSync(`${key}-cert.pub`, signed.body.data.signed_key)
  const words = hosts.words('true', '-mode=ca', '-role=web')
  const target = words.slice(words.findIndex((word) => word.includes('@')))
  const trust = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null']
  const plain = ['-i', key, '-o', 'IdentitiesOnly=yes', ...trust, ...target]
  const times = { ssh: [] as number[], postern: [] as number[] }
  for (let run = -2; run < runs; run++) {
    const ssh = timed('ssh', plain)
    const ours = timed(postern, words)
    if (run < 0) continue
    times.ssh.push(ssh)
    times.postern.push(ours)
  }
  const [ssh, ours] = [median(times.ssh), median(times.postern)]
  console.log(
    `plain ssh ${ssh.toFixed(0)} ms, postern ssh ${ours.toFixed(0)} ms: ${(ours - ssh).toFixed(0)} ms more`,
  )

  function timed(program: string, args: readonly string[]): number {
    const start = performance.now()
    const { status, stderr } = spawnSync(program, args, { env, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${program}: ${stderr}`)
    return performance.now() - start
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function median(times: number[]): number {
  return times.sort((one, other) => one - other)[Math.floor(times.length / 2)] as number
}
