/** Takes logins, and what is known of credentials and their use, out of the store when `keep_for` is over. */
import type { MountViews } from '../../../mount/path.ts'
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, type StoreView } from '../../../storage/view.ts'
import { certificatesConfig } from '../inventory/config.ts'
import { firstSerial, serialName } from '../inventory/serial.ts'
import { CREDENTIAL_TIMES, credentialsAt, forgetCredential } from './credential.ts'
import {
  type LastUse,
  LOGINS,
  type LoginRecord,
  readLogins,
  removeLogin,
  timePart,
  USED,
} from './login-store.ts'

const PAGE = 250
/** A session that began so long ago and goes on is kept for longer than one that has ended. */
const OPEN_FACTOR = 3

export async function tidyLogins({ config, store, now }: MountViews): Promise<void> {
  const { keepForSeconds } = await certificatesConfig(config)
  const endedBy = Math.floor(now / 1000) - keepForSeconds
  const openBy = Math.floor(now / 1000) - OPEN_FACTOR * keepForSeconds
  const isOver = ({ at, login }: LoginRecord) => {
    if (login && login.endedAt === undefined) return at < openBy
    return (login?.endedAt ?? at) < endedBy
  }
  // The oldest have the last ids.
  await eachPage(store, LOGINS, `${timePart(endedBy)}~`, undefined, async (names) => {
    const records = await readLogins(
      store,
      names.map((name) => name.slice(LOGINS.length)),
    )
    return records.filter(isOver).flatMap((record) => removeLogin(store, record))
  })
  const end = serialName(firstSerial(endedBy * 1000))
  await eachPage(store, CREDENTIAL_TIMES, '', end, async (names) => {
    const credentials = await credentialsAt(store, names)
    return credentials
      .filter(({ record }) => record.until < endedBy)
      .flatMap((one) => forgetCredential(store, one))
  })
  await eachPage(store, USED, '', end, async (names) => {
    const entries = await store.getAll(names)
    return names
      .filter((_, at) => {
        const entry = entries[at]
        const use = entry && decodeRecord<LastUse>(entry.value)
        return use !== undefined && Math.max(use.at, use.until) < endedBy
      })
      .map((name) => store.remove(name))
  })
}

/** Commits what `work` wants removed, a page at a time: names of the folder after `begin` and before `end`. */
async function eachPage(
  store: StoreView,
  folder: string,
  begin: string,
  end: string | undefined,
  work: (names: readonly string[]) => Promise<readonly Write[]>,
): Promise<void> {
  for (let after = folder + begin; ; ) {
    const page = await store.list(folder, after === folder ? '' : after, PAGE)
    const names = page.filter((name) => end === undefined || name < folder + end)
    const writes = await work(names)
    if (writes.length > 0) await store.commit(writes, [])
    if (names.length < PAGE) return
    after = names.at(-1) as string
  }
}
