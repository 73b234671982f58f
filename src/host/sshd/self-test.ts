/**
 * Real logins of a host to itself. The certificates are signed by a throw-away CA whose private key is in this
 * process's memory alone, so that nothing is left to abuse when the process dies with the CA still trusted.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { signCertificate } from '../../ssh/certificate/certificate.ts'
import { encodeAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { encodePrivateKey, generateKeyPair } from '../../ssh/key/private-key.ts'
import { signingKey } from '../../ssh/signature.ts'
import { hostPaths } from '../paths.ts'
import { installedVersion } from './version.ts'

const LIFE_SECONDS = 300n
/** From this version on there are such. */
const PER_SOURCE_PENALTIES = 908
const TIMEOUT_MS = 20_000
const LONGEST_REHEARSAL_SECONDS = '120'

export interface SelfTest {
  /** Mode 0700. */
  readonly folder: string
  /** The throw-away CA, as sshd is to read it. */
  readonly caLine: string
  /** The key that the certificates are for. */
  readonly publicLine: string
  /** A certificate of the throw-away CA. */
  certify(principal: string): Promise<string>
  /** True when the certificate lets the user in, false when it is refused. Throws when sshd could not be asked. */
  logIn(at: SshdPlace, user: string, certificate: string): Promise<boolean>
  /** Removes the folder. */
  end(): void
}

export interface SshdPlace {
  readonly address: string
  readonly port: number
}

export async function startSelfTest(): Promise<SelfTest> {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-self-test-'))
  const [ca, subject] = await Promise.all([
    generateKeyPair('ed25519', 256),
    generateKeyPair('ed25519', 256),
  ])
  const signer = signingKey(ca)
  const key = path.join(folder, 'key')
  writeFileSync(key, encodePrivateKey(subject.keyObject), { mode: 0o600 })
  let logins = 0
  const end = () => {
    process.off('exit', end)
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', end)
  return {
    folder,
    caLine: encodeAuthorizedKey(ca.publicKey.blob),
    publicLine: encodeAuthorizedKey(subject.publicKey.blob),
    certify: async (principal) => {
      const now = BigInt(Math.floor(Date.now() / 1000))
      const blob = await signCertificate(signer, {
        subject: subject.publicKey,
        serial: now,
        type: 'user',
        keyId: 'postern-self-test',
        principals: [principal],
        validAfter: now - LIFE_SECONDS,
        validBefore: now + LIFE_SECONDS,
        criticalOptions: new Map(),
        extensions: new Map(),
      })
      return encodeAuthorizedKey(blob)
    },
    logIn: ({ address, port }, user, certificate) => {
      const file = path.join(folder, `certificate-${++logins}`)
      writeFileSync(file, `${certificate}\n`)
      return runSsh([
        ...['-F', 'none', '-v', '-oBatchMode=yes', '-oPreferredAuthentications=publickey'],
        ...['-oIdentitiesOnly=yes', '-oIdentityAgent=none', '-oConnectTimeout=5', '-i', key],
        ...['-oStrictHostKeyChecking=no', '-oUserKnownHostsFile=/dev/null'],
        ...['-oGlobalKnownHostsFile=/dev/null', `-oCertificateFile=${file}`],
        ...['-l', user, '-p', `${port}`, address, 'true'],
      ])
    },
    end,
  }
}

/** What ssh's own log says counts: the command may be another's, or fail. */
function runSsh(args: readonly string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile('ssh', args, { timeout: TIMEOUT_MS }, (error, _, log) => {
      if (/^(debug1: )?(Authenticated to |Authentication succeeded \(publickey\))/m.test(log)) {
        return resolve(true)
      }
      if (log.includes('Permission denied (')) return resolve(false)
      const said = log.split('\n').filter((line) => !/^(debug\d:|OpenSSH_|Warning:|$)/.test(line))
      reject(new Error(`ssh to this host failed: ${said.at(-1)?.trim() ?? error?.message}`))
    })
  })
}

/**
 * Runs an sshd of its own on loopback with a configuration that is not in place yet, and another file of CAs. Throws,
 * with what it said, when it does not listen.
 */
export async function startRehearsal(
  config: string,
  caFile: string,
): Promise<SshdPlace & { readonly stop: () => Promise<void> }> {
  const place = { address: '127.0.0.1', port: await freePort() }
  const options = [
    `ListenAddress=${place.address}:${place.port}`,
    'AddressFamily=any',
    'PidFile=none',
    // What the command line says comes before the file.
    `TrustedUserCAKeys=${caFile}`,
    // Accounts that are refused are a part of the rehearsal: three of them, and sshd hears nobody for a while.
    ...((installedVersion() ?? 0) >= PER_SOURCE_PENALTIES ? ['PerSourcePenalties=no'] : []),
  ]
  const args = ['-D', '-e', '-f', config, '-p', `${place.port}`]
  const words = [hostPaths.sshd, ...args, ...options.flatMap((option) => ['-o', option])]
  // It ends by itself when this process is killed.
  const child = spawn('timeout', [LONGEST_REHEARSAL_SECONDS, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(child, 'exit')
  const kill = () => void child.kill()
  process.once('exit', kill)
  const stop = async () => {
    process.off('exit', kill)
    kill()
    await ended
  }
  let log = ''
  const listening = new Promise<boolean>((resolve) => {
    child.stderr.on('data', (chunk) => {
      log += chunk
      if (log.includes('Server listening on 127.0.0.1')) resolve(true)
    })
    void ended.then(() => resolve(false))
    setTimeout(() => resolve(false), TIMEOUT_MS).unref()
  })
  if (!(await listening)) {
    await stop()
    throw new Error(`sshd does not start with the new configuration: ${log.trim()}`)
  }
  return { ...place, stop }
}

/** Where this host's sshd can be reached from itself, by the addresses of `sshd -T`. */
export function ownPlace(listenAddresses: readonly string[]): SshdPlace {
  const [, address = '', port = '22'] =
    /^\[?([^\]]*?)\]?:(\d+)$/.exec(listenAddresses[0] ?? '') ?? []
  const isAny = address === '0.0.0.0' || address === '::' || address === ''
  return { address: isAny ? 'localhost' : address, port: Number(port) }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
