/** The accounts of this host, and which of them people log in to. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly home: string
  readonly hasShell: boolean
}

/** As the name service lists them; passwd(5). */
export function readAccounts(): Account[] {
  const { status, stdout } = spawnSync('getent', ['passwd'], { encoding: 'utf8', timeout: 10_000 })
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
