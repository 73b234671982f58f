/**
 * A server that is killed amid its work, again and again (protocols 1.2, 1.4): what it acknowledged is there, what it
 * ended stays ended, and its indexes point at records. POSTERN_CRASH_ROUNDS sets how often.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { copyFileSync, createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type Api, type ApiAnswer, apiOf } from '../support/api.ts'
import { initialize, makeSite } from '../support/site.ts'
import { checkIndexes, type IndexReport } from '../support/store-indexes.ts'

const ROUNDS = Number(process.env['POSTERN_CRASH_ROUNDS'] ?? 3)
const WORKERS = 12
/** Answers until the kill, at most. */
const MAX_ANSWERS = 500
const MAX_REMEMBERED = 400
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'

/** What has to be true of a credential: `unknown` where a request about it got no answer. */
type State = 'good' | 'ended' | 'unknown'

interface Otp {
  readonly key: string
  readonly leaseId: string
  /** The token that it was made with: it ends with that one. */
  readonly holder: Token
  state: State
}

interface Token {
  readonly text: string
  /** Ends with its parent. */
  readonly parent: Token | undefined
  state: State
}

/** A role's or a policy's one changing number. */
interface Setting {
  /** The last value that was acknowledged, and the one that was on its way after it. */
  acknowledged: number
  sent: number
}

class Ledger {
  otps: Otp[] = []
  tokens: Token[] = []
  wraps = new Map<string, State>()
  readonly settings = new Map<string, Setting>()
  acknowledged = 0
}

/** Of a token or a password with its holder's: an ended parent ends it, an unknown one makes it unknown. */
function stateOf(token: Token): State {
  const above = token.parent && stateOf(token.parent)
  if (token.state === 'ended' || above === 'ended') return 'ended'
  return above === 'unknown' ? 'unknown' : token.state
}

function otpState(otp: Otp): State {
  const above = stateOf(otp.holder)
  if (otp.state === 'ended' || above === 'ended') return 'ended'
  return above === 'unknown' ? 'unknown' : otp.state
}

/** One who does everything in turn, until the server is gone. Each has roles and tokens of its own. */
class Worker {
  readonly #address: string
  readonly #api: Api
  readonly #root: Token
  readonly #name: string
  readonly #ledger: Ledger
  #holder: Token

  constructor(address: string, root: Token, name: string, ledger: Ledger) {
    this.#address = address
    this.#api = apiOf(address, root.text)
    this.#root = root
    this.#name = name
    this.#ledger = ledger
    this.#holder = root
  }

  async run(): Promise<void> {
    const steps = [
      () => this.#issue(),
      () => this.#issue(),
      () => this.#verify(),
      () => this.#createToken(),
      () => this.#revokeToken(),
      () => this.#revokeLease(),
      () => this.#writeSetting(),
      () => this.#wrap(),
      () => this.#unwrap(),
      () => this.#sign(),
    ]
    for (;;) {
      const step = steps[randomInt(steps.length)] as () => Promise<void>
      try {
        await step()
      } catch (error) {
        // The server is gone: fetch says no more than that.
        if (error instanceof TypeError) return
        throw error
      }
    }
  }

  /** An answer that has to be a success. */
  async #ask(method: string, target: string, body?: unknown, token?: string): Promise<ApiAnswer> {
    const answer = await this.#api(method, target, body, token)
    assert.ok(answer.status < 300, `${target}: ${answer.status} ${JSON.stringify(answer.body)}`)
    this.#ledger.acknowledged++
    return answer
  }

  async #issue(): Promise<void> {
    const holder = this.#holder
    const { body } = await this.#ask('POST', 'ssh/creds/otp', { ip: '10.1.1.1' }, holder.text)
    const otp = { key: body.data.key, leaseId: body.lease_id, holder, state: 'good' as const }
    this.#ledger.otps.push(otp)
  }

  #ownOtp(): Otp | undefined {
    const { otps } = this.#ledger
    const otp = otps[randomInt(otps.length + 1)]
    return otp && otpState(otp) === 'good' ? otp : undefined
  }

  async #verify(): Promise<void> {
    const otp = this.#ownOtp()
    if (!otp) return
    otp.state = 'unknown'
    const { status } = await this.#api('POST', 'ssh/verify', { otp: otp.key }, '')
    // Another worker may be ending its holder.
    if (stateOf(otp.holder) === 'good') assert.equal(status, 200)
    this.#ledger.acknowledged++
    otp.state = 'ended'
  }

  async #revokeLease(): Promise<void> {
    const otp = this.#ownOtp()
    if (!otp) return
    otp.state = 'unknown'
    await this.#ask('PUT', 'sys/leases/revoke', { lease_id: otp.leaseId, sync: true })
    otp.state = 'ended'
  }

  async #createToken(): Promise<void> {
    const parent = randomInt(3) === 0 ? this.#holder : this.#root
    const data = { policies: ['all'], ttl: '1h' }
    const { body } = await this.#ask('POST', 'auth/token/create', data, parent.text)
    this.#holder = { text: body.auth.client_token, parent, state: 'good' }
    this.#ledger.tokens.push(this.#holder)
  }

  /** The holder, or one above it with all that is below. */
  async #revokeToken(): Promise<void> {
    let token = this.#holder
    while (token.parent && token.parent !== this.#root && randomInt(2) === 0) token = token.parent
    if (token === this.#root) return
    this.#holder = this.#root
    token.state = 'unknown'
    await this.#ask('POST', 'auth/token/revoke', { token: token.text })
    token.state = 'ended'
  }

  async #writeSetting(): Promise<void> {
    const kind = randomInt(2) === 0 ? 'ssh/roles' : 'sys/policies/acl'
    const target = `${kind}/${this.#name}-${randomInt(3)}`
    const { settings } = this.#ledger
    const setting = settings.get(target) ?? { acknowledged: 0, sent: 0 }
    settings.set(target, setting)
    const value = Math.max(setting.acknowledged, setting.sent) + 1
    setting.sent = value
    const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: 'u', ttl: value }
    const policy = { policy: `path "${value}" { capabilities = ["read"] }` }
    await this.#ask('POST', target, kind === 'ssh/roles' ? role : policy)
    setting.acknowledged = value
  }

  async #wrap(): Promise<void> {
    const wrapped = await fetch(`${this.#address}/v1/sys/wrapping/wrap`, {
      method: 'POST',
      headers: { 'X-Vault-Token': this.#root.text, 'X-Vault-Wrap-TTL': '1h' },
      body: '{"kept":"yes"}',
    })
    const answer = (await wrapped.json()) as { wrap_info: { token: string } }
    this.#ledger.acknowledged++
    this.#ledger.wraps.set(answer.wrap_info.token, 'good')
  }

  async #unwrap(): Promise<void> {
    const good = [...this.#ledger.wraps].filter(([, state]) => state === 'good')
    const [token] = good[randomInt(good.length + 1)] ?? []
    if (token === undefined) return
    this.#ledger.wraps.set(token, 'unknown')
    const { body } = await this.#ask('POST', 'sys/wrapping/unwrap', {}, token)
    assert.deepEqual(body.data, { kept: 'yes' })
    this.#ledger.wraps.set(token, 'ended')
  }

  async #sign(): Promise<void> {
    const { body } = await this.#ask('POST', 'ssh/sign/ca', { public_key: KEY })
    assert.match(body.data.signed_key, /^ssh-ed25519-cert/)
  }
}

/** What the ledger says, asked of the server that came back. Then what is unknown, and most of the rest, is forgotten. */
class Inspection {
  readonly #api: Api
  readonly #ledger: Ledger

  constructor(address: string, root: Token, ledger: Ledger) {
    this.#api = apiOf(address, root.text)
    this.#ledger = ledger
  }

  async run(): Promise<void> {
    const { tokens, otps, wraps, settings } = this.#ledger
    await forEach(tokens, (token) => this.#checkToken(token))
    await forEach(otps, (otp) => this.#checkOtp(otp))
    await forEach([...wraps], ([token, state]) => this.#checkWrap(token, state))
    await forEach([...settings], ([target, setting]) => this.#checkSetting(target, setting))
    this.#forget()
  }

  async #checkToken(token: Token): Promise<void> {
    const { status } = await this.#api('GET', 'auth/token/lookup-self', undefined, token.text)
    const state = stateOf(token)
    if (state === 'good') assert.equal(status, 200, 'a token that was acknowledged is lost')
    if (state === 'ended') assert.equal(status, 403, 'a revoked token is alive')
  }

  async #checkOtp(otp: Otp): Promise<void> {
    const { status } = await this.#api('PUT', 'sys/leases/lookup', { lease_id: otp.leaseId })
    const state = otpState(otp)
    if (state === 'good') assert.equal(status, 200, 'a lease that was acknowledged is lost')
    if (state === 'ended') assert.equal(status, 400, 'a lease that was ended is alive')
    if (state === 'good' && randomInt(4) !== 0) return
    const verified = await this.#api('POST', 'ssh/verify', { otp: otp.key }, '')
    // Where the holder's end is not known, it may come in between.
    if (stateOf(otp.holder) === 'unknown') return
    assert.equal(verified.status, status, 'a password and its lease differ')
    otp.state = 'ended'
  }

  async #checkWrap(token: string, state: State): Promise<void> {
    const { status } = await this.#api('POST', 'sys/wrapping/lookup', { token }, '')
    if (state === 'good') assert.equal(status, 200, 'a wrapped answer is lost')
    if (state === 'ended') assert.equal(status, 400, 'a wrapping token works twice')
  }

  async #checkSetting(target: string, setting: Setting): Promise<void> {
    const { status, body } = await this.#api('GET', target)
    if (setting.acknowledged === 0 && status === 404) return
    assert.equal(status, 200, `${target} is lost`)
    const value = Number(body.data.ttl ?? /"(\d+)"/.exec(body.data.policy)?.[1])
    const allowed = [setting.acknowledged, setting.sent]
    assert.ok(allowed.includes(value), `${target} is ${value}, not one of ${allowed}`)
    setting.acknowledged = value
    setting.sent = value
  }

  #forget(): void {
    const ledger = this.#ledger
    const some = <T>(items: readonly T[], isUnknown: (item: T) => boolean) =>
      items.filter((item) => !isUnknown(item)).slice(-MAX_REMEMBERED)
    ledger.tokens = some(ledger.tokens, (token) => stateOf(token) === 'unknown')
    ledger.otps = some(ledger.otps, (otp) => otpState(otp) === 'unknown')
    ledger.wraps = new Map(some([...ledger.wraps], ([, state]) => state === 'unknown'))
  }
}

/** Some at a time. */
async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  const worker = async () => {
    for (const item of rest) await work(item)
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))
}

test(`kill -9 amid mixed load, ${ROUNDS} times: nothing acknowledged is lost, nothing ended is alive`, async (t) => {
  await using site = makeSite({
    lines: ['miss_limit {', '  rate = 1000000', '  burst = 1000000', '}'],
  })
  const file = path.join(site.folder, 'store.db')
  const ledger = new Ledger()
  let running = await site.start()
  const { root: text, key } = await initialize(running.address)
  const root: Token = { text, parent: undefined, state: 'good' }
  await prepare(apiOf(running.address, text))
  for (let round = 1; round <= ROUNDS; round++) {
    let isKilled = false
    const workers = Array.from({ length: WORKERS }, async (_, index) => {
      await new Worker(running.address, root, `w${index}`, ledger).run()
      assert.ok(isKilled, 'the server ended by itself')
    })
    const goal = ledger.acknowledged + 20 + randomInt(MAX_ANSWERS)
    while (ledger.acknowledged < goal) await Promise.race([pause(1 + randomInt(5)), ...workers])
    isKilled = true
    await running.kill()
    await Promise.all(workers)
    // A copy: what the server itself makes of the files that were left is what is tried.
    assert.deepEqual((await reportOfCopy(site.folder, key)).stray, [], `after round ${round}`)
    running = await site.start()
    await apiOf(running.address, '')('PUT', 'sys/unseal', { key })
    await new Inspection(running.address, root, ledger).run()
  }
  assert.ok(ledger.acknowledged > ROUNDS * WORKERS, `${ledger.acknowledged} answers`)
  t.diagnostic(`${ledger.acknowledged} answers`)
  await running.stop()
  // Revocations that were cut go on in the background.
  for (let tries = 0; ; tries++) {
    const { stray, revoking } = await checkIndexes(file, key)
    assert.deepEqual(stray, [])
    if (revoking === 0) break
    assert.ok(tries < 5, `${revoking} revocations do not end`)
    running = await site.start()
    await apiOf(running.address, '')('PUT', 'sys/unseal', { key })
    await running.stop()
  }
  await checkAuditLines(site.auditFile, ledger)
})

async function prepare(api: Api): Promise<void> {
  const policy =
    'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
  await api('POST', 'sys/policies/acl/all', { policy })
  await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
  await api('POST', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
  const ca = {
    key_type: 'ca',
    allow_user_certificates: true,
    allowed_users: 'u',
    default_user: 'u',
  }
  await api('POST', 'ssh/roles/ca', ca)
  const otp = { key_type: 'otp', default_user: 'u', cidr_list: '10.0.0.0/8', ttl: '1h' }
  const { status } = await api('POST', 'ssh/roles/otp', otp)
  assert.equal(status, 204)
}

async function reportOfCopy(folder: string, key: string): Promise<IndexReport> {
  const copy = mkdtempSync(path.join(folder, 'copy-'))
  try {
    for (const name of ['store.db', 'store.db-wal']) {
      if (existsSync(path.join(folder, name))) {
        copyFileSync(path.join(folder, name), path.join(copy, name))
      }
    }
    return await checkIndexes(path.join(copy, 'store.db'), key)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** Whatever was answered is in the audit log; of the lines, each kill may have cut the last. */
async function checkAuditLines(file: string, { acknowledged }: Ledger): Promise<void> {
  let told = 0
  let broken = 0
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (line === '') continue
    try {
      if (JSON.parse(line).type === 'response') told++
    } catch {
      broken++
    }
  }
  assert.ok(told >= acknowledged, `${told} response lines of ${acknowledged} answers`)
  assert.ok(broken <= ROUNDS, `${broken} broken lines`)
}
