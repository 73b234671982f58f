/** Files that are never half written and never absent while they change, whatever ends the process. */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'

/**
 * Puts the whole file beside its place, on disk, then renames it. A new file that a killed process left behind is
 * overwritten. Throws what the file system throws, with the old file untouched.
 */
export function writeFileAtomically(
  file: string,
  content: string | Uint8Array,
  mode: number,
): void {
  removeUnfinished(file)
  const fresh = freshName(file)
  const descriptor = openSync(fresh, 'wx', mode)
  try {
    writeFileSync(descriptor, content)
    // The umask has taken bits away. By its number: in a folder of others the name may be a link by now.
    fchmodSync(descriptor, mode)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(fresh, file)
  syncFolder(path.dirname(file))
}

/** Removes a file for good; one that is not there is fine. */
export function removeFile(file: string): void {
  removeUnfinished(file)
  rmSync(file, { force: true })
  syncFolder(path.dirname(file))
}

/** Removes what a process left that was killed while it wrote the file. */
export function removeUnfinished(file: string): void {
  rmSync(freshName(file), { force: true })
}

function freshName(file: string): string {
  return `${file}.postern-new`
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
