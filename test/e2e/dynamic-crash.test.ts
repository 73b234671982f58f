/**
 * The server is killed while it installs and while it removes keys (protocols 1.5 and 1.6): after a restart no line
 * outlives its lease. What was begun is ended when its minute is over, so that one kill has to do for all places.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type KeySite, makeKeySite } from '../support/key-site.ts'
import { eventually } from '../support/site.ts'

const USER = `pt-crash${process.pid}`
const INSTALLING = ['before-install', 'after-install']
const UNINSTALLING = ['before-uninstall', 'after-uninstall']
const BUSY = 3
/** A pending lease is due after 60 s, and a claim holds as long. */
const PATIENCE_MS = 120_000

/** A script of a role that keeps its lines in a file of its own, and waits at one place as long as there is a file `stop`. */
function scriptIn(folder: string, place: string): string {
  return `#!/bin/sh
set -eu
line=$(cat "$2")
cd ${folder}
halt() {
  [ "$1" = ${place} ] && [ -e stop ] || return 0
  : > at-${place}
  while [ -e stop ]; do sleep 0.05; done
}
base64=$(printf '%s' "$line" | sed 's/.* ssh-ed25519 \\([^ ]*\\).*/\\1/')
halt before-$1
touch lines-${place}
case $1 in
install) printf '%s\\n' "$line" >> lines-${place} ;;
uninstall) rest=$(grep -vF "$base64" lines-${place}) || :; printf '%s' "$rest" > lines-${place} ;;
*) exit 2 ;;
esac
halt after-$1
`
}

suite('a server that is killed', () => {
  const resources = new AsyncDisposableStack()
  let site: KeySite
  let folder: string

  before(async () => {
    site = resources.use(await makeKeySite())
    site.host.addUser(USER)
    folder = path.join(site.host.folder, site.host.admin)
    for (const place of [...INSTALLING, ...UNINSTALLING]) {
      // Keys of their own: what is ended with one key on one host is ended one after the other.
      await site.api('PUT', `ssh/keys/${place}`, { key: site.host.adminKey })
      await site.writeRole(place, {
        key: place,
        default_user: USER,
        install_script: scriptIn(folder, place),
        ttl: '1h',
      })
    }
    await site.writeRole('web', { default_user: USER, ttl: 20 })
  })

  after(() => resources.disposeAsync())

  const file = (name: string) => path.join(folder, name)
  const linesOf = (place: string) => {
    const name = file(`lines-${place}`)
    return existsSync(name) ? readFileSync(name, 'utf8') : ''
  }

  async function issue(role: string): Promise<string> {
    const { status, body } = await site.creds(role)
    assert.equal(status, 200, JSON.stringify(body))
    return body.lease_id
  }

  const revoke = (lease: string) => site.api('PUT', 'sys/leases/revoke', { lease_id: lease })

  /** Issues and revokes until the server is gone; counts the issues. */
  async function keepBusy(count: { issued: number }): Promise<void> {
    for (;;) {
      const lease = await issue('web')
      count.issued++
      await revoke(lease)
    }
  }

  test('protocols 1.5, 1.6: at every step of installs and removals, leaves no line behind after the restart', async () => {
    const leases = await Promise.all(UNINSTALLING.map((place) => issue(place)))
    for (const place of UNINSTALLING) assert.notEqual(linesOf(place), '')
    writeFileSync(file('stop'), '')
    const halted = [
      ...INSTALLING.map((place) => site.creds(place)),
      ...leases.map((lease) => revoke(lease)),
    ]
    const count = { issued: 0 }
    const busy = Array.from({ length: BUSY }, () => keepBusy(count))
    const ended = Promise.allSettled([...halted, ...busy])
    await eventually(
      () =>
        count.issued > 0 &&
        [...INSTALLING, ...UNINSTALLING].every((place) => existsSync(file(`at-${place}`))),
      () => `not every place is reached, ${count.issued} are issued:\n${site.server().output()}`,
    )
    await site.server().kill()
    rmSync(file('stop'))
    await ended
    await site.start()
    await eventually(
      () =>
        site.host.keysOf(USER) === undefined &&
        [...INSTALLING, ...UNINSTALLING].every((place) => linesOf(place) === ''),
      () => `lines are left: ${site.host.keysOf(USER)}\n${site.server().output()}`,
      PATIENCE_MS,
    )
    await site.noLeases()
  })
})
