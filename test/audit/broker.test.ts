/** When a line counts as written, and how the table of devices becomes open devices (contract 10.1, 10.4). */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { Hasher } from '../../src/audit/hash.ts'
import { PosternError } from '../../src/errors.ts'
import { brokerOf, entryOf, OTP, requestOf, SALT, tempFolder } from './records.ts'

const record = {
  request: requestOf({ data: new Map([['otp', OTP]]), declared: new Set(['otp']) }),
  caller: undefined,
}
const broken = entryOf('/dev/full', { path: 'broken/' })

const linesOf = (file: string) => readFileSync(file, 'utf8').split('\n').filter(Boolean)

function isAuditFailure(error: unknown): boolean {
  assert.ok(error instanceof PosternError)
  assert.equal(error.code, 'audit_failed')
  assert.equal(error.status, 500)
  assert.deepEqual(error.messages, ['internal error'])
  return true
}

async function refusalOf(trial: Promise<void>): Promise<string> {
  const error = await trial.then(
    () => undefined,
    (reason) => reason,
  )
  assert.ok(error instanceof PosternError && error.status === 400, String(error))
  return error.messages.join()
}

describe('AuditBroker', () => {
  it('is not enabled without devices', async () => {
    await using site = brokerOf()
    assert.equal(site.broker.isEnabled(), false)
    await site.broker.configure([])
    assert.equal(site.broker.isEnabled(), false)
  })

  it('writes one line before and one after the operation', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    await audit.broker.configure([entryOf(file)])
    await audit.broker.logRequest(record)
    await audit.broker.logResponse({ ...record, response: {} })
    const lines = linesOf(file).map((line) => JSON.parse(line))
    assert.deepEqual(
      lines.map(({ type }) => type),
      ['request', 'response'],
    )
    assert.equal(lines[0].request.data.otp, audit.broker.hash('file/', OTP))
  })

  it('refuses when the only device fails, and goes on by itself when it works again', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const folder = path.join(site.folder, 'logs')
    symlinkSync('/proc/nope', folder)
    await audit.broker.configure([entryOf(path.join(folder, 'audit.log'))])
    assert.equal(audit.broker.isEnabled(), true)
    await assert.rejects(audit.broker.logRequest(record), isAuditFailure)
    await assert.rejects(audit.broker.logResponse(record), isAuditFailure)
    rmSync(folder)
    await audit.broker.logRequest(record)
    assert.equal(linesOf(path.join(folder, 'audit.log')).length, 1)
    assert.deepEqual(audit.messages, ['an audit device fails', 'an audit device works again'])
  })

  it('is content with one device of two, and says once that the other fails', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    await audit.broker.configure([broken, entryOf(file)])
    for (let i = 0; i < 3; i++) await audit.broker.logRequest(record)
    assert.equal(linesOf(file).length, 3)
    assert.deepEqual(audit.messages, ['an audit device fails'])
  })

  it('refuses when both fail, and tells the server log why', async () => {
    await using audit = brokerOf()
    await audit.broker.configure([broken, entryOf('/dev/full')])
    await assert.rejects(audit.broker.logRequest(record), (error: PosternError) => {
      assert.match(String(error.cause), /no space left on device.*no space left on device/)
      return isAuditFailure(error)
    })
  })

  it('writes to all devices, each with hashes of its own salt', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const [one, other] = [path.join(site.folder, 'one.log'), path.join(site.folder, 'other.log')]
    const second = entryOf(other, { path: 'second/', salt: 'cd'.repeat(32) })
    await audit.broker.configure([entryOf(one), second])
    const hashes = ['file/', 'second/', 'third/'].map((device) => audit.broker.hash(device, OTP))
    const expected = [new Hasher(SALT).hash(OTP), new Hasher('cd'.repeat(32)).hash(OTP)]
    assert.deepEqual(hashes, [...expected, undefined])
    await audit.broker.logRequest(record)
    // The first device to have the line is enough; closing waits for the other.
    await audit.broker.close()
    const otpIn = (file: string) => JSON.parse(linesOf(file)[0] ?? '').request.data.otp
    assert.deepEqual([one, other].map(otpIn), expected)
  })

  it('keeps unchanged devices open, and closes those that were taken away', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    const other = entryOf(path.join(site.folder, 'other.log'), { path: 'other/' })
    await audit.broker.configure([entryOf(file), other])
    renameSync(file, `${file}.1`)
    await audit.broker.configure([entryOf(file)])
    await audit.broker.logRequest(record)
    assert.equal(linesOf(`${file}.1`).length, 1)
    assert.equal(audit.broker.hash('other/', 'x'), undefined)
    await audit.broker.configure([])
    assert.equal(audit.broker.isEnabled(), false)
  })

  it('changes nothing when one of the new devices has an option that is not valid', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    await audit.broker.configure([entryOf(file)])
    const wrong = entryOf(file, { path: 'wrong/', options: { file_path: file, mode: 'x' } })
    assert.match(await refusalOf(audit.broker.configure([wrong])), /mode/)
    await audit.broker.logRequest(record)
    assert.equal(linesOf(file).length, 1)
  })

  it('opens files anew, and says which could not be', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    await audit.broker.configure([entryOf(file)])
    renameSync(file, `${file}.1`)
    await audit.broker.reopen()
    await audit.broker.logRequest(record)
    assert.equal(linesOf(file).length, 1)
    renameSync(file, `${file}.2`)
    mkdirSync(file)
    await audit.broker.reopen()
    assert.deepEqual(audit.messages, ['an audit device could not be opened anew'])
    await audit.broker.logRequest(record)
    assert.equal(linesOf(`${file}.2`).length, 2)
  })

  it('shows configured request headers, until the seal', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    const request = requestOf({ headers: new Map([['user-agent', 'curl/8']]) })
    await audit.broker.configure([entryOf(file)])
    audit.broker.setRequestHeaders(new Map([['user-agent', { hmac: false }]]))
    await audit.broker.logRequest({ request, caller: undefined })
    audit.broker.clear()
    await audit.broker.configure([entryOf(file)])
    await audit.broker.logRequest({ request, caller: undefined })
    const headers = linesOf(file).map((line) => JSON.parse(line).request.headers)
    assert.deepEqual(headers, [{ 'user-agent': ['curl/8'] }, undefined])
  })

  it('refuses the lines of requests that the seal overtook, and forgets the salts', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    await audit.broker.configure([entryOf(file)])
    const last = audit.broker.logRequest(record)
    audit.broker.clear()
    await last
    assert.equal(audit.broker.isEnabled(), true)
    await assert.rejects(audit.broker.logResponse(record), isAuditFailure)
    assert.equal(audit.broker.hash('file/', 'x'), undefined)
    await audit.broker.configure([entryOf(file)])
    await audit.broker.logResponse(record)
    assert.equal(linesOf(file).length, 2)
  })
})

describe('a device that the API asks for', () => {
  it('gets a test line, and is not enabled by that', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf()
    const file = path.join(site.folder, 'audit.log')
    await audit.broker.tryDevice(entryOf(file))
    const [line] = linesOf(file).map((text) => JSON.parse(text))
    assert.equal(line.request.path, 'sys/audit/test')
    assert.equal(line.type, 'request')
    assert.equal(audit.broker.isEnabled(), false)
  })

  it('is refused with the reason', async () => {
    await using audit = brokerOf()
    const trial = (file: string) => refusalOf(audit.broker.tryDevice(entryOf(file)))
    assert.equal(
      await trial('/proc/nope/x.log'),
      'sanity check failed; unable to open "/proc/nope/x.log" for writing: mkdir /proc/nope: no such file or directory',
    )
    assert.equal(
      await trial('/dev/full'),
      'audit backend failed test message: write /dev/full: no space left on device',
    )
  })

  it('is refused before anything else where the config names no folder (Decision 10)', async () => {
    await using audit = brokerOf({ auditDir: undefined })
    const entry = entryOf('', { type: 'zzz' })
    assert.match(await refusalOf(audit.broker.tryDevice(entry)), /^cannot enable audit device via/)
  })

  it('makes nothing outside of the folder that the config names', async () => {
    await using site = await tempFolder()
    await using audit = brokerOf({ auditDir: path.join(site.folder, 'root') })
    const outside = path.join(site.folder, 'outside/audit.log')
    assert.match(await refusalOf(audit.broker.tryDevice(entryOf(outside))), /has to lie below/)
    assert.throws(() => readFileSync(outside), { code: 'ENOENT' })
    const inside = path.join(site.folder, 'root/audit.log')
    await audit.broker.tryDevice(entryOf(inside))
    assert.equal(linesOf(inside).length, 1)
  })

  it('may be standard output or nothing at all', async () => {
    await using audit = brokerOf()
    await audit.broker.tryDevice(entryOf('discard'))
    await audit.broker.configure([entryOf('discard')])
    await audit.broker.logRequest(record)
    assert.equal(audit.broker.isEnabled(), true)
  })
})
