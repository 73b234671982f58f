/** The writes that come of one report: logins that begin, logins that end, and gaps. */
import type { Call } from '../../../mount/call.ts'
import type { LoginEvent } from '../../../ssh/host/login-event.ts'
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'
import type { HostRecord } from '../host/registry.ts'
import { judgeLogin } from './judge.ts'
import {
  endLogin,
  type LastUse,
  LOGINS,
  type LoginRecord,
  lastUse,
  loginId,
  openName,
  putLogin,
  readLogins,
  USED,
} from './login-store.ts'

/** How many sessions of a host are ended at once when it was started anew. */
const MAX_ENDED = 1000

export class ReportedLogins {
  readonly #call: Call
  readonly #host: HostRecord
  readonly #skewSeconds: number
  /** By key: of several writes to one the last counts. */
  readonly #writes = new Map<string, Write>()
  /** Logins of this report that go on, by session. */
  readonly #begun = new Map<string, LoginRecord>()

  constructor(call: Call, host: HostRecord, skewSeconds: number) {
    this.#call = call
    this.#host = host
    this.#skewSeconds = skewSeconds
  }

  async take(event: LoginEvent): Promise<void> {
    await (event.type === 'login' ? this.#login(event) : this.#logout(event))
  }

  /** Events of numbers before this one that were never told; how many, where that is known. */
  gap(what: string, sequence: number, missing: number | undefined): void {
    const at = Math.floor(this.#call.now / 1000)
    const id = loginId(this.#host.id, at, what)
    const gap = missing === undefined ? {} : { missing }
    this.#put(putLogin(this.#call.store, { ...this.#base(id, at, sequence), flags: ['gap'], gap }))
  }

  /** Sessions of before the machine was started cannot go on, whoever forgot to tell. */
  async endOtherBoots(bootId: string): Promise<void> {
    const { store, now } = this.#call
    const folder = openName(this.#host.id, '')
    const names = await store.list(folder, '', MAX_ENDED)
    const old = names.filter((name) => !name.startsWith(`${folder}${bootId}.`))
    const ids = await store.getAll(old)
    const records = await readLogins(
      store,
      ids.flatMap((entry) => (entry ? [decodeRecord<string>(entry.value)] : [])),
    )
    for (const record of records) {
      const { host, login } = record
      if (login && !this.#writes.has(store.key(openName(host, login.session)))) {
        this.#put(endLogin(store, record, Math.floor(now / 1000)))
      }
    }
  }

  writes(): Write[] {
    return [...this.#writes.values()]
  }

  async #login(event: LoginEvent): Promise<void> {
    const { store } = this.#call
    const { session } = event
    const at = this.#clamped(event.at)
    const id = loginId(this.#host.id, at, session)
    // A host that was cut off while it numbered tells of a session twice.
    const [open, known] = await store.getAll([openName(this.#host.id, session), LOGINS + id])
    if (open || known || this.#writes.has(store.key(LOGINS + id))) return
    const { credential, flags, issued } = await judgeLogin(this.#call, this.#host, event)
    const { user, from, port, service, method } = event
    const record: LoginRecord = {
      ...this.#base(id, at, event.seq),
      flags,
      login: {
        session,
        user,
        from,
        ...(port !== undefined && { port }),
        service,
        method,
        credential,
      },
    }
    this.#begun.set(session, record)
    this.#put(putLogin(store, record))
    if (issued) await this.#noteUse(record, event, issued)
  }

  async #noteUse(
    { id, at, host }: LoginRecord,
    { user, from }: LoginEvent,
    { serial, until }: { readonly serial: string; readonly until: number },
  ): Promise<void> {
    const { store } = this.#call
    const use: LastUse = { at, host, user, from, login: id, until }
    // Reports of a host that was cut off come late.
    const before = await lastUse(store, serial)
    if (!before || before.at <= at) this.#put([store.put(USED + serial, encodeRecord(use))])
  }

  async #logout({ session, at }: LoginEvent): Promise<void> {
    const { store } = this.#call
    const record = this.#begun.get(session) ?? (await this.#openLogin(session))
    if (!record) return
    this.#begun.delete(session)
    this.#put(endLogin(store, record, this.#clamped(at)))
  }

  async #openLogin(session: string): Promise<LoginRecord | undefined> {
    const { store } = this.#call
    const entry = await store.get(openName(this.#host.id, session))
    const [record] = entry ? await readLogins(store, [decodeRecord<string>(entry.value)]) : []
    return record
  }

  /** Not in the future, and not before there was such a host: what a clock says that is off is kept within. */
  #clamped(at: number): number {
    const { now } = this.#call
    const first = Math.floor(this.#host.createdAt / 1000)
    return Math.min(Math.max(at, first), Math.floor(now / 1000))
  }

  #base(id: string, at: number, sequence: number): Omit<LoginRecord, 'flags'> {
    const skewSeconds = this.#skewSeconds
    return {
      id,
      host: this.#host.id,
      at,
      sequence,
      reportedAt: Math.floor(this.#call.now / 1000),
      ...(Math.abs(skewSeconds) > 1 && { skewSeconds }),
    }
  }

  #put(writes: readonly Write[]): void {
    for (const write of writes) this.#writes.set(write.key, write)
  }
}
