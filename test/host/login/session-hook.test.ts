import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { readInbox } from '../../../src/host/login/inbox.ts'
import { sessionHook } from '../../../src/host/login/session-hook.ts'
import { processChain } from '../../../src/host/otp/record.ts'
import { vector } from '../../ssh/support.ts'
import { eventually } from '../../support/site.ts'

const ED25519 = vector('ed25519.pub')
const PAM = {
  PAM_TYPE: 'open_session',
  PAM_USER: 'alice',
  PAM_RHOST: '192.0.2.7',
  PAM_SERVICE: 'sshd',
  SSH_CONNECTION: '192.0.2.7 4711 10.0.0.1 22',
  SSH_AUTH_INFO_0: `publickey ${ED25519}`,
}

suite("PAM's hook", () => {
  let folder: string
  let inbox: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-hook-'))
    inbox = path.join(folder, 'in box')
    mkdirSync(inbox)
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  function run(
    env: Record<string, string>,
    { shell = 'dash', maxFiles = 50, place = inbox } = {},
  ): number | null {
    const words = shell === 'busybox' ? ['busybox', 'sh'] : [shell]
    const script = path.join(folder, 'hook')
    writeFileSync(script, sessionHook({ inbox: place, maxFiles }))
    const [program = '', ...args] = [...words, script]
    return spawnSync(program, args, { env, stdio: 'ignore', timeout: 10_000 }).status
  }

  const files = () => readdirSync(inbox).filter((name) => /^[0-9]/.test(name))
  const leaves = (count: number) =>
    eventually(
      () => files().length === count,
      () => `${count} files: ${readdirSync(inbox)}`,
    )

  for (const shell of ['dash', 'busybox', 'bash']) {
    test(`leaves what PAM says, and which process asks, with ${shell}`, async () => {
      assert.equal(run(PAM, { shell }), 0)
      await leaves(1)
      const [record] = readInbox(inbox).records
      const { type, user, rhost, from, port, service, method } = record ?? {}
      assert.deepEqual(
        { type, user, rhost, from, port, service, method },
        {
          ...{ type: 'open', user: 'alice', rhost: '192.0.2.7', from: '192.0.2.7', port: 4711 },
          ...{ service: 'sshd', method: 'publickey' },
        },
      )
      const own = processChain(process.pid)[0]
      assert.deepEqual({ pid: record?.pid, start: record?.start }, own)
      assert.match(record?.fingerprint ?? '', /^SHA256:/)
    })
  }

  test('runs nothing of what comes from outside, and takes lines and quotes as they are', async () => {
    const hostile = `a'$(touch ${folder}/run)\`touch ${folder}/run\`;\n"%s\\0 *`
    assert.equal(run({ ...PAM, PAM_USER: hostile, PAM_RHOST: '-n' }), 0)
    await leaves(1)
    const [record] = readInbox(inbox).records
    assert.deepEqual([record?.user, record?.rhost], [hostile, '-n'])
    assert.equal(readdirSync(folder).includes('run'), false)
  })

  test('refuses no login, whatever is missing, and is silent about other phases', async () => {
    assert.equal(run({ ...PAM, PAM_TYPE: 'auth' }), 0)
    assert.equal(run({}), 0)
    assert.equal(run(PAM, { place: path.join(folder, 'none') }), 0)
    assert.equal(run({ ...PAM, PAM_TYPE: 'close_session' }), 0)
    await leaves(1)
    assert.equal(readInbox(inbox).records[0]?.type, 'close')
  })

  test('is bounded: the oldest files go, and are counted', async () => {
    for (let at = 0; at < 3; at++) writeFileSync(path.join(inbox, `${at}-1-open_session`), '')
    assert.equal(run(PAM, { maxFiles: 3 }), 0)
    await eventually(
      () => files().length === 3 && !files().includes('0-1-open_session'),
      'room is made',
    )
    const { dropped, remove } = readInbox(inbox)
    assert.equal(dropped, 1)
    remove()
    assert.deepEqual(readdirSync(inbox), [])
    assert.equal(readInbox(inbox).dropped, 0)
  })

  test('leaves nothing on a full disk, where it would stay for ever', () => {
    const script = path.join(folder, 'hook')
    writeFileSync(script, sessionHook({ inbox, maxFiles: 50 }))
    const words = ['-c', 'trap "" XFSZ; ulimit -f 0; exec sh "$0"', script]
    // What goes on behind the hook holds the pipe.
    spawnSync('sh', words, { env: PAM, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
    assert.deepEqual(readdirSync(inbox), [])
  })

  test('sessions that begin at once share no file', async () => {
    const script = path.join(folder, 'hook')
    writeFileSync(script, sessionHook({ inbox, maxFiles: 100 }))
    const line = `for n in 1 2 3 4 5 6 7 8 9 10; do PAM_USER=u$n sh '${script}' & done; wait`
    spawnSync('sh', ['-c', line], { env: { ...process.env, ...PAM } })
    await leaves(10)
    assert.equal(new Set(readInbox(inbox).records.map(({ user }) => user)).size, 10)
  })
})
