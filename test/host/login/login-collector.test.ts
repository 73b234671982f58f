import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { LoginCollector } from '../../../src/host/login/login-collector.ts'
import { processChain, putOtpLogin } from '../../../src/host/otp/record.ts'
import { type LoginEvent, parseLoginEvent } from '../../../src/ssh/host/login-event.ts'

const BOOT = 'ab12'
const KEY = 'SHA256:CwmjVUa/5QSEa8uqkhNHWs/QggiszlRI7BRHKV0da3U'
/** This process stands for sshd's: it lives, and its start is known. */
const own = processChain(process.pid)[0] ?? { pid: 0, start: 0 }
const GONE = 4_000_000
const now = Date.now()

suite('the collector of logins', () => {
  let folder: string
  let log: string
  let collector: LoginCollector
  let files = 0
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-collect-'))
    log = path.join(folder, 'auth.log')
    mkdirSync(path.join(folder, 'spool/inbox'), { recursive: true })
    writeFileSync(log, `${line(own.pid, 'before')}\n`)
    start()
    collector.collect(now)
  })
  afterEach(() => {
    collector.close()
    rmSync(folder, { recursive: true })
  })

  function start(): void {
    const places = { spoolFolder: path.join(folder, 'spool'), otpLogins: path.join(folder, 'otp') }
    collector = new LoginCollector({ source: log, bootId: BOOT, ...places })
  }

  function line(pid: number, user: string): string {
    const time = new Date(now).toISOString()
    return `${time} web-1 sshd[${pid}]: Accepted publickey for ${user} from 192.0.2.7 port 22 ssh2: ED25519 ${KEY}`
  }

  /** What the hook leaves. */
  function record(type: 'open' | 'close', change: Record<string, unknown> = {}): void {
    const fields = {
      ...{ type: `${type}_session`, boot: BOOT, pid: own.pid, start: own.start, user: 'alice' },
      ...{ rhost: '192.0.2.7', service: 'sshd', connection: '192.0.2.7 22 10.0.0.1 22', auth: '' },
      ...change,
    }
    const file = path.join(folder, 'spool/inbox', `${100 + files}-${files++}-${type}_session`)
    writeFileSync(
      file,
      Object.values(fields)
        .map((value) => `${value}\0`)
        .join(''),
    )
    utimesSync(file, now / 1000, now / 1000)
  }

  const events = (): LoginEvent[] => collector.spool.read(100).map(parseLoginEvent)
  const types = () => events().map(({ type, user }) => `${type} ${user}`)

  test('tells what the hook left once, and removes it when it is kept', () => {
    record('open')
    collector.collect(now)
    record('close')
    collector.collect(now)
    assert.deepEqual(types(), ['login alice', 'logout alice'])
    assert.deepEqual(readdirSync(path.join(folder, 'spool/inbox')), [])
    assert.equal(events()[0]?.session, `${BOOT}.${own.pid}.${own.start}`)
  })

  test("joins the hook's login and the log's by sshd's process, whichever comes first", () => {
    appendFileSync(log, `${line(own.pid, 'alice')}\n`)
    collector.collect(now)
    assert.deepEqual(events(), [])
    record('open')
    collector.collect(now + 1000)
    appendFileSync(log, `${line(own.pid, 'alice')}\n`)
    collector.collect(now + 60_000)
    assert.deepEqual(types(), ['login alice'])
  })

  test('a line that comes when the session is over is of the same login', () => {
    record('open', { pid: GONE })
    collector.collect(now)
    appendFileSync(log, `${line(GONE, 'alice')}\n`)
    collector.collect(now + 60_000)
    assert.deepEqual(types(), ['login alice', 'logout alice'])
  })

  test('a line that waits for the hook is not forgotten by a restart', () => {
    appendFileSync(log, `${line(own.pid, 'alice')}\n`)
    collector.collect(now)
    collector.close()
    start()
    collector.collect(now + 2500)
    assert.deepEqual(types(), ['login alice'])
  })

  test('keeps open sessions while a line waits: a restart costs no logout', () => {
    record('open')
    appendFileSync(log, `${line(GONE, 'bob')}\n`)
    collector.collect(now)
    collector.close()
    start()
    record('close')
    collector.collect(now + 2500)
    assert.deepEqual(types(), ['login alice', 'logout alice', 'login bob', 'logout bob'])
  })

  test('a clock that is put back makes no line wait', () => {
    appendFileSync(log, `${line(own.pid, 'alice')}\n`)
    collector.collect(now)
    collector.collect(now - 3_600_000)
    assert.deepEqual(types(), ['login alice'])
  })

  test('tells what the log alone knows, after a while, and its end with the process', () => {
    appendFileSync(log, `${line(own.pid, 'alice')}\n${line(GONE, 'bob')}\n`)
    collector.collect(now + 2500)
    assert.deepEqual(types(), ['login alice', 'login bob', 'logout bob'])
    assert.equal(events()[0]?.fingerprint, KEY)
  })

  test('reads nothing of before the first start, and goes on where it stopped, in a new file too', () => {
    collector.close()
    appendFileSync(log, `${line(GONE, 'bob')}\n`)
    start()
    collector.collect(now + 2500)
    renameSync(log, `${log}.1`)
    writeFileSync(log, `${line(GONE + 1, 'carol')}\n${line(GONE + 2, 'half')}`)
    collector.collect(now + 5000)
    collector.collect(now + 7500)
    const logged = types().filter((text) => text.startsWith('login'))
    assert.deepEqual(logged, ['login bob', 'login carol'])
  })

  test('loses nothing that was logged before a rotation, nor to the old file after it', () => {
    collector.close()
    appendFileSync(log, `${line(GONE, 'bob')}\n`)
    const old = path.join(folder, 'auth.log-20261123')
    renameSync(log, old)
    writeFileSync(log, '')
    start()
    collector.collect(now + 2500)
    appendFileSync(old, `${line(GONE + 1, 'carol')}\n`)
    collector.collect(now + 5000)
    appendFileSync(old, `${line(GONE + 2, 'dave')}\n`)
    appendFileSync(log, `${line(GONE + 3, 'erin')}\n`)
    for (const later of [7500, 10_000, 12_500]) collector.collect(now + later)
    const logged = types().filter((text) => text.startsWith('login'))
    assert.deepEqual(logged, ['login bob', 'login carol', 'login dave', 'login erin'])
  })

  test('ends sessions whose process is gone, and those of before the machine was started', () => {
    record('open', { pid: GONE, user: 'bob' })
    record('open', { boot: 'cd34', user: 'carol' })
    record('open')
    collector.collect(now)
    const ended = types().filter((text) => text.startsWith('logout'))
    assert.deepEqual(ended.sort(), ['logout bob', 'logout carol'])
  })

  test('goes on with open sessions after a restart', () => {
    record('open')
    collector.collect(now)
    collector.close()
    start()
    record('close')
    collector.collect(now)
    assert.deepEqual(types(), ['login alice', 'logout alice'])
  })

  test('takes the lease of the password with which the session was opened', () => {
    const login = {
      user: 'alice',
      rhost: '192.0.2.7',
      otpSha256: 'ab',
      role: 'otp',
      lease: 'ssh/creds/otp/1',
    }
    putOtpLogin(path.join(folder, 'otp'), { ...login, processes: [own] }, now)
    record('open', { auth: 'keyboard-interactive/pam\n' })
    collector.collect(now)
    const [event] = events()
    assert.deepEqual([event?.otpLease, event?.method], ['ssh/creds/otp/1', 'keyboard-interactive'])
  })

  test('leaves out sessions of other programs, and files that are not the hook’s', () => {
    record('open', { service: 'su' })
    writeFileSync(path.join(folder, 'spool/inbox', '1-1-open_session'), 'x')
    writeFileSync(path.join(folder, 'spool/inbox', 'note'), 'x')
    collector.collect(now)
    assert.deepEqual(events(), [])
  })

  test('what no server would take stands before no other', () => {
    record('open', { boot: 'not a boot', pid: GONE })
    record('open', { user: '' })
    collector.collect(now)
    assert.deepEqual(types(), ['login unknown'])
  })

  test('leaves numbers out for files that had to make room', () => {
    writeFileSync(path.join(folder, 'spool/inbox', '.dropped'), 'xxx')
    record('open')
    collector.collect(now)
    assert.deepEqual(
      events().map(({ seq }) => seq),
      [4],
    )
  })

  test('a disk that takes nothing for a while loses no line, and makes no gap grow', () => {
    writeFileSync(path.join(folder, 'spool/inbox', '.dropped'), 'xxx')
    appendFileSync(log, `${line(own.pid, 'alice')}\n${line(GONE, 'bob')}\n`)
    collector.spool.append = () => {
      throw new Error('no space')
    }
    for (const later of [2500, 3500])
      assert.throws(() => collector.collect(now + later), /no space/)
    Reflect.deleteProperty(collector.spool, 'append')
    collector.collect(now + 4500)
    assert.deepEqual(types(), ['login alice', 'login bob', 'logout bob'])
    assert.equal(events()[0]?.seq, 4)
  })

  test('a name with control characters steers nothing further on', () => {
    record('open', { user: 'a\u001b[2J\nb', rhost: 'UNKNOWN', connection: '' })
    collector.collect(now)
    const [event] = events()
    assert.deepEqual([event?.user, event?.from], ['a?[2J?b', 'UNKNOWN'])
  })
})
