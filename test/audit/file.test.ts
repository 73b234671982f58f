/** The file device: opening, modes, folders, links, rotation. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs, {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'
import { describe, it } from 'node:test'
import { FileDevice, type FileOptions } from '../../src/audit/file.ts'
import { tempFolder } from './records.ts'

function deviceFor(file: string, changes: Partial<FileOptions> = {}): FileDevice {
  const options = { file, mode: 0o600, prefix: '', sync: false, followsLinks: true, ...changes }
  return new FileDevice(options)
}

const modeOf = (file: string) => (statSync(file).mode & 0o7777).toString(8)

describe('FileDevice', () => {
  it('makes file and folders, readable for the owner only, whatever the umask', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'a/b/audit.log')
    const device = deviceFor(file)
    await device.write('one')
    await device.write('two')
    await device.close()
    assert.equal(readFileSync(file, 'utf8'), 'one\ntwo\n')
    assert.equal(modeOf(file), '600')
    assert.equal(modeOf(path.join(site.folder, 'a/b')), '700')
  })

  it('lets those who may read the file enter its folder', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'a/audit.log')
    const device = deviceFor(file, { mode: 0o640 })
    await device.open()
    await device.close()
    assert.equal(modeOf(file), '640')
    assert.equal(modeOf(path.dirname(file)), '750')
  })

  it('appends to a file that is there, gives it the mode, or leaves its mode', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'audit.log')
    writeFileSync(file, 'old\n')
    chmodSync(file, 0o644)
    const leaving = deviceFor(file, { mode: undefined })
    await leaving.write('new')
    await leaving.close()
    assert.equal(modeOf(file), '644')
    const setting = deviceFor(file)
    await setting.open()
    await setting.close()
    assert.equal(modeOf(file), '600')
    assert.equal(readFileSync(file, 'utf8'), 'old\nnew\n')
  })

  it('waits for the disk with sync=true, and only then (protocols 2.2)', async (t) => {
    await using site = await tempFolder()
    const synced: number[] = []
    t.mock.method(fs, 'fdatasync', (fd: number, done: (error: null) => void) => {
      synced.push(fd)
      setImmediate(done, null)
    })
    syncBuiltinESMExports()
    // A copy of the module that has not bound the function yet.
    const counted = '../../src/audit/file.ts?counted'
    const { FileDevice: Counted } = (await import(counted)) as { FileDevice: typeof FileDevice }
    for (const [sync, expected] of [
      [false, 0],
      [true, 2],
    ] as const) {
      const file = path.join(site.folder, `${sync}.log`)
      const device = new Counted({ file, mode: 0o600, prefix: '', sync, followsLinks: true })
      await device.write('one')
      await device.write('two')
      assert.equal(synced.length, expected, `sync=${sync}`)
      await device.close()
    }
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })

  it('closes the torn line that an earlier process left (protocols 2.2)', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'audit.log')
    writeFileSync(file, '{"whole":1}\n{"torn":')
    const device = deviceFor(file)
    await device.write('{"next":1}')
    await device.close()
    assert.equal(readFileSync(file, 'utf8'), '{"whole":1}\n{"torn":\n{"next":1}\n')
  })

  it('puts the prefix before each line', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'audit.log')
    const device = deviceFor(file, { prefix: '@cee: ', sync: true })
    await Promise.all([device.write('a'), device.write('b')])
    await device.close()
    assert.equal(readFileSync(file, 'utf8'), '@cee: a\n@cee: b\n')
  })

  it('goes on with a file that was renamed until it is opened anew', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'audit.log')
    const device = deviceFor(file)
    await device.write('one')
    renameSync(file, `${file}.1`)
    await device.write('two')
    await device.reopen()
    await device.write('three')
    await device.close()
    assert.equal(readFileSync(`${file}.1`, 'utf8'), 'one\ntwo\n')
    assert.equal(readFileSync(file, 'utf8'), 'three\n')
  })

  it('keeps every line of requests that run while it is opened anew', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'audit.log')
    const device = deviceFor(file)
    await device.open()
    const lines = Array.from({ length: 200 }, (_, index) => `line ${index}`)
    await Promise.all(
      lines.map(async (line, index) => {
        if (index === 50) renameSync(file, `${file}.1`)
        if (index === 100) await device.reopen()
        await device.write(line)
      }),
    )
    await device.close()
    const written = (readFileSync(`${file}.1`, 'utf8') + readFileSync(file, 'utf8')).split('\n')
    assert.deepEqual(written.filter(Boolean).sort(), lines.sort())
  })

  it('keeps the open file when it can’t be opened anew', async () => {
    await using site = await tempFolder()
    const file = path.join(site.folder, 'audit.log')
    const device = deviceFor(file)
    await device.write('one')
    renameSync(file, `${file}.1`)
    mkdirSync(file)
    await assert.rejects(device.reopen(), /^Error: open .*directory/)
    await device.write('two')
    await device.close()
    assert.equal(readFileSync(`${file}.1`, 'utf8'), 'one\ntwo\n')
  })

  it('fails lines while it can’t be opened, and takes them once it can', async () => {
    await using site = await tempFolder()
    const folder = path.join(site.folder, 'logs')
    writeFileSync(folder, 'a file in the folder’s place')
    const device = deviceFor(path.join(folder, 'audit.log'))
    await assert.rejects(device.write('one'), /not a directory/)
    renameSync(folder, `${folder}.away`)
    await device.write('two')
    await device.close()
    assert.equal(readFileSync(path.join(folder, 'audit.log'), 'utf8'), 'two\n')
  })

  it('tells a full device from a good one', async () => {
    const device = deviceFor('/dev/full')
    await device.open()
    await assert.rejects(device.write('one'), /^Error: write \/dev\/full: no space left on device$/)
    await device.close()
  })

  it('leaves the mode of a device node alone', async () => {
    const before = modeOf('/dev/null')
    const device = deviceFor('/dev/null', { mode: 0o600 })
    await device.write('one')
    await device.close()
    assert.equal(modeOf('/dev/null'), before)
  })

  it('says which folder could not be made, and does not loop below /proc', async () => {
    await assert.rejects(
      deviceFor('/proc/nope/x.log').open(),
      /^Error: mkdir \/proc\/nope: no such file or directory$/,
    )
  })

  it('does not wait for the reader of a named pipe', async () => {
    await using site = await tempFolder()
    const pipe = path.join(site.folder, 'pipe')
    execFileSync('/usr/bin/mkfifo', [pipe])
    await assert.rejects(deviceFor(pipe).open(), /no such device or address/)
  })

  it('refuses a link where only a file may stand (CVE-2025-6000)', async () => {
    await using site = await tempFolder()
    const link = path.join(site.folder, 'audit.log')
    symlinkSync(path.join(site.folder, 'elsewhere'), link)
    await assert.rejects(deviceFor(link, { followsLinks: false }).open(), /symbolic links/)
    const following = deviceFor(link)
    await following.write('one')
    await following.close()
    assert.equal(readFileSync(path.join(site.folder, 'elsewhere'), 'utf8'), 'one\n')
  })
})
