/** A folder for the time of one session: 0700, its files 0600, gone at every end of the process but SIGKILL. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { usageFailure } from '../../failure.ts'

export class PrivateFolder implements Disposable {
  readonly path: string = mkdtempSync(path.join(os.tmpdir(), 'postern-ssh-'))
  readonly #remove = (): void => rmSync(this.path, { recursive: true, force: true })

  constructor() {
    process.on('exit', this.#remove)
  }

  file(name: string): string {
    return path.join(this.path, name)
  }

  /** The path of the file that was written. */
  write(name: string, text: string, mode: 0o600 | 0o700 = 0o600): string {
    const file = this.file(name)
    writeFileSync(file, text, { mode, flag: 'wx' })
    return file
  }

  [Symbol.dispose](): void {
    this.#remove()
    process.off('exit', this.#remove)
  }
}

/**
 * A path as ssh_config(5) takes it, in quotes and with percent signs doubled. Throws a Failure for paths that it
 * has no way to write.
 */
export function quoteForSsh(file: string): string {
  if (/["\\\p{C}]|\$\{/u.test(file)) {
    throw usageFailure(`ssh can't take the path ${JSON.stringify(file)}`)
  }
  return `"${file.replaceAll('%', '%%')}"`
}
