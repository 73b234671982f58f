/**
 * Certificates kept for plain ssh: in one folder for each server and role, a key pair and a certificate for each user
 * name. Many runs at once ask the server once.
 */
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Certificate } from '../../../ssh/certificate/certificate.ts'
import { encodeAuthorizedKey, parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { encodePrivateKey, generateKeyPair } from '../../../ssh/key/private-key.ts'
import { isSameKey, type PublicKey } from '../../../ssh/key/public-key.ts'
import { Failure } from '../../failure.ts'
import { parseCertificateLine } from './certificate.ts'

/** A certificate with less time than this is renewed: ssh may have to ask for a password first. */
const MARGIN_SECONDS = 60
const POLL_MS = 25
/** A holder of the lock that takes longer is taken for dead. */
const MAX_WAIT_MS = 70_000

/** The names of a user's files in the folder, as ssh finds them: the private half, `.pub` and `-cert.pub` behind it. */
const OTHER_ENDS = /\.(pub|lock)$/

export class CertificateStore {
  readonly #folder: string
  /** The private half. */
  readonly #file: string

  /** Throws a Failure for a user that can't be a file's name. */
  constructor(folder: string, user: string) {
    if (user.includes('/') || user.startsWith('.') || OTHER_ENDS.test(user)) {
      throw new Failure(`postern: not a user name: ${user}`)
    }
    this.#folder = folder
    this.#file = path.join(folder, user)
  }

  /** The pair of this user, made when it is not there yet. */
  async publicKey(): Promise<PublicKey> {
    const known = readText(`${this.#file}.pub`)
    if (known !== undefined) return parseAuthorizedKey(known.trim())
    const { keyObject, publicKey } = await generateKeyPair('ed25519', 0)
    replace(this.#file, encodePrivateKey(keyObject))
    replace(`${this.#file}.pub`, `${encodeAuthorizedKey(publicKey.blob)}\n`)
    return publicKey
  }

  /** True while the stored certificate is for this key and will be good for a while: `least` seconds from now. */
  isReady(publicKey: PublicKey | undefined, now: number, least: number = MARGIN_SECONDS): boolean {
    const certificate = parseCertificateLine(readText(`${this.#file}-cert.pub`) ?? '')
    if (!certificate || (publicKey && !isSameKey(certificate.subject, publicKey))) return false
    return isGood(certificate, now, least)
  }

  write(line: string): void {
    replace(`${this.#file}-cert.pub`, line)
  }

  /**
   * Does `work` unless another process is doing it; then waits for that one. Returns whether it was done here.
   * What is left behind by a process that died is taken over.
   */
  async exclusively(work: () => Promise<void>): Promise<boolean> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const lock = `${this.#file}.lock`
    let hasWaited = false
    while (!tryLock(lock)) {
      const holder = readText(lock)
      if (holder !== undefined && isDead(lock, holder)) {
        removeIfStill(lock, holder)
        hasWaited = false
        continue
      }
      hasWaited = true
      await delay(POLL_MS)
      if (readText(lock) === undefined) return false
    }
    try {
      if (!hasWaited) await work()
    } finally {
      removeIfStill(lock, String(process.pid))
    }
    return !hasWaited
  }
}

function isGood({ validAfter, validBefore }: Certificate, now: number, least: number): boolean {
  const seconds = BigInt(Math.floor(now / 1000))
  return validAfter <= seconds && validBefore > seconds + BigInt(least)
}

/** A reader sees the old file or the new one. */
function replace(file: string, text: string): void {
  const mine = `${file}.${process.pid}`
  writeFileSync(mine, text, { mode: 0o600 })
  renameSync(mine, file)
}

/** The lock appears with its holder's process id in it, never empty. */
function tryLock(lock: string): boolean {
  const mine = `${lock}.${process.pid}`
  writeFileSync(mine, String(process.pid), { mode: 0o600 })
  try {
    linkSync(mine, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(mine, { force: true })
  }
}

function isDead(lock: string, holder: string): boolean {
  try {
    if (Date.now() - statSync(lock).mtimeMs > MAX_WAIT_MS) return true
    process.kill(Number(holder), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

function removeIfStill(lock: string, holder: string): void {
  if (readText(lock) === holder) rmSync(lock, { force: true })
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
