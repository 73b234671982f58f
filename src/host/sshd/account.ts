/** The accounts of this host, and which of them people log in to. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly home: string
  readonly hasShell: boolean
}

/** Some directories have a million people. */
const MAX_LIST_BYTES = 256 * 1024 * 1024

/** As the name service lists them; passwd(5). */
export function readAccounts(): Account[] {
  const options = { encoding: 'utf8', timeout: 10_000, maxBuffer: MAX_LIST_BYTES } as const
  const { status, stdout } = spawnSync('getent', ['passwd'], options)
  const text = status === 0 ? stdout : readFileSync('/etc/passwd', 'utf8')
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid, , , home = '', shell = ''] = line.split(':')
    if (name === '') return []
    return [
      {
        name,
        uid: Number(uid),
        home,
        hasShell: !/\/(nologin|false|sync|halt|shutdown)$/.test(shell),
      },
    ]
  })
}
