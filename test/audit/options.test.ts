/** Options of audit devices, and where the API may put files (contract 10.1, 10.2, Decision 10). */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { type AuditDir, checkApiDevice, parseDeviceOptions } from '../../src/audit/options.ts'
import { PosternError } from '../../src/errors.ts'
import { tempFolder } from './records.ts'

function refusal(type: string, options: Record<string, string>): string {
  try {
    parseDeviceOptions(type, options)
  } catch (error) {
    assert.ok(error instanceof PosternError && error.status === 400, String(error))
    return error.messages.join()
  }
  return 'accepted'
}

const file = (options: Record<string, string>) =>
  parseDeviceOptions('file', { file_path: '/x/audit.log', ...options })

describe('parseDeviceOptions', () => {
  it('has defaults for all but the path', () => {
    assert.deepEqual(file({}), {
      target: { file: '/x/audit.log' },
      mode: 0o600,
      prefix: '',
      sync: false,
      format: { logRaw: false, hmacAccessor: true, elideListResponses: false },
    })
  })

  it('reads every option', () => {
    const given = {
      mode: '0640',
      format: 'json',
      prefix: '@cee: ',
      sync: 'true',
      log_raw: '1',
      hmac_accessor: 'F',
      elide_list_responses: 'TRUE',
      of_no_meaning: 'x',
    }
    assert.deepEqual(file(given), {
      target: { file: '/x/audit.log' },
      mode: 0o640,
      prefix: '@cee: ',
      sync: true,
      format: { logRaw: true, hmacAccessor: false, elideListResponses: true },
    })
  })

  it('knows the old name of file_path, and stdout and discard in any case', () => {
    const target = (options: Record<string, string>) => parseDeviceOptions('file', options).target
    assert.deepEqual(target({ path: '/y/audit.log' }), { file: '/y/audit.log' })
    assert.equal(target({ file_path: 'STDOUT' }), 'stdout')
    assert.equal(target({ file_path: 'Discard' }), 'discard')
    assert.equal(parseDeviceOptions('stdout', {}).target, 'stdout')
  })

  it('drops execute bits and all above permissions, and leaves the mode alone for 0000', () => {
    assert.equal(file({ mode: '0755' }).mode, 0o644)
    assert.equal(file({ mode: '6777' }).mode, 0o666)
    assert.equal(file({ mode: '0000' }).mode, undefined)
  })

  it('refuses the rest in the words that clients know', () => {
    assert.equal(refusal('zzz', {}), 'unknown backend type: "zzz"')
    assert.equal(refusal('file', {}), 'file_path is required')
    const common = { file_path: '/x/audit.log' }
    assert.equal(refusal('file', { ...common, format: 'x' }), 'unknown format type "x"')
    assert.equal(
      refusal('file', { ...common, format: 'jsonx' }),
      'jsonx formatting has been removed, consider switching to json by omitting "format" or setting it to "json"',
    )
    assert.match(refusal('file', { ...common, mode: '0888' }), /mode/)
    assert.match(refusal('file', { ...common, log_raw: 'maybe' }), /log_raw/)
    assert.match(refusal('file', { ...common, prefix: 'x\n{"time":"forged"}' }), /prefix/)
    assert.match(refusal('file', { file_path: '/x/a\0b' }), /file_path/)
  })

  it('does not take inherited members for options', () => {
    assert.equal(refusal('file', Object.create({ file_path: '/x' })), 'file_path is required')
  })
})

describe('devices of the API (CVE-2025-6000)', () => {
  const check = async (auditDir: AuditDir, options: Record<string, string>) => {
    try {
      await checkApiDevice(parseDeviceOptions('file', options), auditDir)
    } catch (error) {
      assert.ok(error instanceof PosternError && error.status === 400, String(error))
      return error.messages.join()
    }
    return 'accepted'
  }

  it('may be anywhere on a dev server, and nowhere without audit_dir', async () => {
    const options = { file_path: '/anywhere/audit.log', prefix: 'x' }
    assert.equal(await check('any', options), 'accepted')
    assert.equal(
      await check(undefined, options),
      'cannot enable audit device via API; use declarative, config-based audit device management instead',
    )
  })

  it('have to lie below audit_dir, also when it or their folder is not there yet', async () => {
    await using site = await tempFolder()
    const root = path.join(site.folder, 'root')
    const at = (file: string) => check(root, { file_path: path.join(site.folder, file) })
    assert.equal(await at('root/a/b/audit.log'), 'accepted')
    mkdirSync(path.join(root, 'a'), { recursive: true })
    assert.equal(await at('root/audit.log'), 'accepted')
    assert.equal(await at('root/a/audit.log'), 'accepted')
    for (const file of ['audit.log', 'root', 'root-2/audit.log', 'root/../audit.log']) {
      assert.match(await at(file), /has to lie below the audit_dir/, file)
    }
    assert.match(await check(root, { file_path: '/etc/cron.d/x' }), /has to lie below/)
    assert.match(await check(root, { file_path: 'relative.log' }), /has to lie below/)
    assert.equal(await check(root, { file_path: 'stdout' }), 'accepted')
  })

  it('can’t leave audit_dir by a link, nor take a device node', async () => {
    await using site = await tempFolder()
    const root = path.join(site.folder, 'root')
    mkdirSync(path.join(site.folder, 'outside'))
    mkdirSync(root)
    symlinkSync(path.join(site.folder, 'outside'), path.join(root, 'link'))
    symlinkSync(path.join(site.folder, 'outside/x'), path.join(root, 'audit.log'))
    const at = (file: string) => check(root, { file_path: path.join(root, file) })
    assert.match(await at('link/audit.log'), /has to lie below/)
    assert.match(await at('link/deeper/audit.log'), /has to lie below/)
    assert.match(await at('audit.log'), /not a regular file/)
    assert.match(await check('/dev', { file_path: '/dev/null' }), /not a regular file/)
  })

  it('may lie below an audit_dir that is a link itself', async () => {
    await using site = await tempFolder()
    mkdirSync(path.join(site.folder, 'real'))
    symlinkSync(path.join(site.folder, 'real'), path.join(site.folder, 'root'))
    const root = path.join(site.folder, 'root')
    assert.equal(await check(root, { file_path: path.join(root, 'audit.log') }), 'accepted')
    assert.equal(await check(root, { file_path: path.join(site.folder, 'real/a') }), 'accepted')
  })

  it('have no prefix', async () => {
    await using site = await tempFolder()
    const options = { file_path: path.join(site.folder, 'audit.log'), prefix: '#!/bin/sh ' }
    assert.equal(await check(site.folder, options), 'audit log prefixing is not allowed')
  })

  it('have a folder that can be resolved', async () => {
    await using site = await tempFolder()
    writeFileSync(path.join(site.folder, 'file'), '')
    const file = path.join(site.folder, 'file/below/audit.log')
    assert.match(await check(site.folder, { file_path: file }), /resolved/)
  })
})
