/** User and group ids by name: Node gives none, so /etc/passwd and /etc/group are read. */
import { readFileSync } from 'node:fs'
import { PosternError } from '../errors.ts'

/** The id of a user's name or number. Throws `invalid_config` for an unknown name. */
export function userIdOf(name: string): number {
  return idIn('/etc/passwd', name, 'user')
}

export function groupIdOf(name: string): number {
  return idIn('/etc/group', name, 'group')
}

function idIn(file: string, name: string, kind: string): number {
  if (/^[0-9]+$/.test(name)) return Number(name)
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  const id = line?.split(':')[2]
  if (id === undefined)
    throw new PosternError('invalid_config', `there is no ${kind} "${name}" in ${file}`)
  return Number(id)
}
