/** What is measured is what is shipped: the built package, laid out as an installation has it. */
import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')

/** Builds, and copies the files that an installation has, and no sources, into `home`. The path of the launcher. */
export function layOutPackage(home: string): string {
  execFileSync(process.execPath, [path.join(root, 'tools/build.ts')], { stdio: 'inherit' })
  const installed = path.join(home, 'package')
  for (const name of ['bin', 'dist', 'package.json']) {
    cpSync(path.join(root, name), path.join(installed, name), { recursive: true })
  }
  return path.join(installed, 'bin/postern.js')
}
