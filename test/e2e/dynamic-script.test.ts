/**
 * The programs for hosts, run on this machine as an admin user with sudo, for users with homes (contract 9, protocols
 * 4.1 to 4.4 and 4.7). Needs root; the users are named after the process.
 */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import type { LeasedKey } from '../../src/engine/ssh/dynamic/host/authorized-line.ts'
import {
  failureOf,
  installProgram,
  type KeyPlace,
  uninstallProgram,
} from '../../src/engine/ssh/dynamic/host/host-program.ts'
import { INSTALL_SCRIPT } from '../../src/engine/ssh/dynamic/host/install-script.ts'

const SERVER = 'OpenSSH_9.2p1'
const ADMIN = `pt-sa${process.pid}`
const ALICE = `pt-sb${process.pid}`
const LOCKS = `/run/lock/pt-locks${process.pid}`
const SYSTEM_KEYS = `/etc/ssh/postern/keys/${ALICE}`

const stack = new AsyncDisposableStack()
const folder = stack.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-users-')), (made) =>
  rmSync(made, { recursive: true, force: true }),
)
const sudoers = `/etc/sudoers.d/${ADMIN}`
const home = path.join(folder, ALICE)
const keysFile = path.join(home, '.ssh/authorized_keys')
const place: KeyPlace = {
  username: ALICE,
  mayBeRoot: false,
  authorizedKeys: 'user',
  installScript: '',
}
let uid = 0

before(() => {
  execFileSync('chmod', ['755', folder])
  addUser(ADMIN)
  addUser(ALICE)
  uid = statSync(home).uid
  allowSudo('NOPASSWD: ALL')
  stack.defer(() => rmSync(sudoers, { force: true }))
  stack.defer(() => {
    for (const name of readdirSync('/run/lock')) {
      if (!name.startsWith(path.basename(LOCKS))) continue
      rmSync(path.join('/run/lock', name), { recursive: true })
    }
  })
})

after(() => stack.disposeAsync())

function addUser(name: string, ...flags: string[]): void {
  const made = ['--create-home', '--home-dir', path.join(folder, name), '--shell', '/bin/sh']
  execFileSync('useradd', [...made, ...flags, name], { stdio: 'pipe' })
  stack.defer(() => void execFileSync('userdel', ['--force', name], { stdio: 'pipe' }))
}

function allowSudo(what: string): void {
  writeFileSync(sudoers, what === '' ? '' : `${ADMIN} ALL=(ALL) ${what}\n`, { mode: 0o440 })
}

/** An Ed25519 key's line; the same number gives the same key. */
function leased(number: number): LeasedKey {
  const blob = Buffer.alloc(51, number)
  blob.writeUInt32BE(11)
  blob.write('ssh-ed25519', 4)
  return {
    publicKey: `ssh-ed25519 ${blob.toString('base64')}`,
    keyOptionSpecs: `restrict,command="echo '${number}' \\"x\\""`,
    leaseId: `ssh/creds/web/${number}`,
    expiresAt: Date.UTC(2037, 0, 1),
  }
}

type Change = readonly [from: string, to: string]

interface Run {
  readonly shell?: readonly string[]
  readonly user?: string
  /** What is put into the program for something else: a tool that is not there, a shorter time. */
  readonly change?: Change
}

/** Runs a program as sshd would; gives its failure, or undefined. */
async function run(
  program: string,
  { shell = ['sh'], user = ADMIN, change }: Run = {},
): Promise<string | undefined> {
  let text = program
    .replaceAll('/run/lock/postern', LOCKS)
    .replaceAll('sh -s', `${shell.join(' ')} -s`)
  if (change) {
    assert.ok(text.includes(change[0]), change[0])
    text = text.replaceAll(...change)
  }
  const child = execFile('runuser', ['-u', user, '--', ...shell, '-s'], { cwd: folder })
  let stderr = ''
  let stdout = ''
  child.stdout?.on('data', (part) => (stdout += part))
  child.stderr?.on('data', (part) => (stderr += part))
  child.stdin?.on('error', () => {})
  child.stdin?.end(text)
  const [status] = await once(child, 'close')
  assert.equal(stdout, '')
  assert.match(stderr, status === 0 ? /^$/ : /^postern: [^\n]+\n$/)
  return failureOf({ status, stdout, stderr, serverVersion: SERVER })
}

const install = (keys: readonly LeasedKey[], options?: Run, where = place) =>
  run(installProgram(where, keys)(SERVER), options)
const uninstall = (keys: readonly LeasedKey[], options?: Run, where = place) =>
  run(uninstallProgram(where, keys)(SERVER), options)

/** Names in the homes but for what useradd puts there. */
function left(user = ALICE): string[] {
  const names = readdirSync(path.join(folder, user), { recursive: true }) as string[]
  return names.filter((name) => !/^\.(bash|profile)/.test(name)).sort()
}

for (const shell of [['dash'], ['bash'], ['busybox', 'sh']]) {
  test(`${shell.join(' ')}: a key is installed as its user, renewed, and removed without a trace`, async () => {
    assert.equal(await install([leased(1)], { shell }), undefined)
    const stat = statSync(keysFile)
    assert.deepEqual([stat.uid, stat.mode & 0o777], [uid, 0o600])
    assert.deepEqual([statSync(path.dirname(keysFile)).uid, stat.nlink], [uid, 1])
    const later = { ...leased(1), expiresAt: Date.UTC(2037, 5, 1) }
    assert.equal(await install([later, leased(2)], { shell }), undefined)
    assert.match(
      readFileSync(keysFile, 'utf8'),
      /^expiry-time="20370531235959Z",restrict,command="echo '1' \\"x\\"" ssh-ed25519 \S+ postern:\S+web\/1,made=folder\nexpiry-time=.*web\/2,made=folder\n$/,
    )
    assert.equal(await uninstall([leased(1), leased(2)], { shell }), undefined)
    assert.equal(await uninstall([leased(1)], { shell }), undefined)
    assert.deepEqual([left(), left(ADMIN)], [[], []])
    assert.deepEqual(readdirSync(LOCKS), [`${uid}`])
  })
}

test('protocols 4.1: authorized_keys=system puts the key where the user cannot write', async () => {
  const system: KeyPlace = { ...place, authorizedKeys: 'system' }
  assert.equal(await install([leased(1)], {}, system), undefined)
  const stat = statSync(SYSTEM_KEYS)
  assert.deepEqual([stat.uid, stat.mode & 0o777], [0, 0o644])
  assert.equal(statSync(path.dirname(SYSTEM_KEYS)).mode & 0o777, 0o755)
  assert.deepEqual(left(), [])
  assert.equal(await uninstall([leased(1)], {}, system), undefined)
  assert.equal(existsSync(SYSTEM_KEYS), false)
})

for (const [lock, count, change] of [
  ['flock', 50, undefined],
  ['a folder for a lock', 20, ['command -v flock', 'command -v no-flock']],
] as const) {
  test(`protocols 4.1: ${count} parallel installs lose no line, with ${lock}`, {
    timeout: 120_000,
  }, async () => {
    const options: Run = change ? { change } : {}
    const keys = Array.from({ length: count }, (_, index) => leased(index + 1))
    const waiting = [...keys]
    const failures: (string | undefined)[] = []
    // As many at a time as one connection has sessions.
    const worker = async () => {
      for (let key = waiting.pop(); key; key = waiting.pop()) {
        failures.push(await install([key], options))
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    assert.deepEqual(new Set(failures), new Set([undefined]))
    const lines = readFileSync(keysFile, 'utf8').trimEnd().split('\n')
    assert.equal(lines.length, count)
    assert.equal(new Set(lines).size, count)
    assert.equal(await uninstall(keys, options), undefined)
    assert.deepEqual([left(), readdirSync(LOCKS)], [[], [`${uid}`]])
  })
}

test('a lock that is held is waited for, but no longer than the limit; one that is left over is taken', async () => {
  const change: Change = ['timeout 20', 'timeout 1']
  const held = spawn('flock', [path.join(LOCKS, `${uid}`), 'sh', '-c', 'echo held; read line'])
  await once(held.stdout, 'data')
  assert.match((await install([leased(1)], { change })) ?? '', /takes longer than 20 s/)
  held.stdin.end('\n')
  await once(held, 'close')
  assert.equal(await install([leased(1)], { change: ['timeout 20', 'timeout 60'] }), undefined)
  const folderLock = path.join(LOCKS, `${uid}.held`)
  mkdirSync(folderLock)
  const twoMinutesAgo = Date.now() / 1000 - 120
  utimesSync(folderLock, twoMinutesAgo, twoMinutesAgo)
  assert.equal(
    await uninstall([leased(1)], { change: ['command -v flock', 'command -v no-flock'] }),
    undefined,
  )
  assert.deepEqual([left(), readdirSync(LOCKS)], [[], [`${uid}`]])
})

test('protocols 1.6: a program that sudo held back for longer does nothing: the lease may be ended by then', async () => {
  const change: Change = ['"$(date +%s)" "$root"', '"$(($(date +%s) - 21))" "$root"']
  assert.match((await install([leased(1)], { change })) ?? '', /takes longer than 20 s/)
  assert.deepEqual(left(), [])
})

test('protocols 4.1: a folder for locks that somebody else made before is put away', async () => {
  for (const make of ['mkdir -m 777', `ln -s ${folder}`]) {
    rmSync(LOCKS, { recursive: true, force: true })
    execFileSync('runuser', ['-u', ALICE, '--', 'sh', '-c', `${make} ${LOCKS}`])
    assert.equal(await install([leased(1)]), undefined)
    const stat = statSync(LOCKS)
    assert.deepEqual([stat.uid, stat.mode & 0o22, readdirSync(LOCKS)], [0, 0, [`${uid}`]])
    assert.equal(existsSync(path.join(folder, `${uid}`)), false)
  }
  assert.equal(await uninstall([leased(1)]), undefined)
})

test('sudo that asks for a password, that allows nothing, or is not there is named', async () => {
  allowSudo('ALL')
  assert.match(
    (await install([leased(1)])) ?? '',
    /sudo asks pt-sa\S+ for a password: it needs NOPASSWD/,
  )
  allowSudo('NOPASSWD: /bin/true')
  assert.match((await install([leased(1)])) ?? '', /^sudo (does not allow it to|asks) pt-sa/)
  allowSudo('')
  assert.match((await install([leased(1)])) ?? '', /^sudo (does not allow it to|asks) pt-sa/)
  allowSudo('NOPASSWD: ALL')
  const change: Change = ['command -v sudo', 'command -v no-sudo']
  assert.match((await install([leased(1)], { change })) ?? '', /sudo is not installed/)
  // Root needs none.
  assert.equal(await install([leased(1)], { change, user: 'root' }), undefined)
  assert.equal(statSync(keysFile).uid, uid)
  assert.equal(await uninstall([leased(1)], { user: 'root' }), undefined)
  assert.deepEqual(left(), [])
})

test('a user who is not on the host gets no key, and has none to remove', async () => {
  const nobody = { ...place, username: 'pt-nobody' }
  assert.match(
    (await install([leased(1)], {}, nobody)) ?? '',
    /^user pt-nobody does not exist on the host$/,
  )
  assert.equal(await uninstall([leased(1)], {}, nobody), undefined)
  // A directory of users that does not answer looks the same.
  const change: Change = ['/etc/nsswitch.conf', path.join(folder, 'nsswitch.conf')]
  writeFileSync(change[1], 'passwd: files sss\n')
  assert.match((await uninstall([leased(1)], { change }, nobody)) ?? '', /does not exist/)
})

test('a key in the file of the system goes also when its user has gone', async () => {
  const name = `pt-sg${process.pid}`
  const file = path.join(path.dirname(SYSTEM_KEYS), name)
  const gone: KeyPlace = { ...place, username: name, authorizedKeys: 'system' }
  execFileSync('useradd', ['--home-dir', '/', name], { stdio: 'pipe' })
  stack.defer(() => rmSync(file, { force: true }))
  assert.equal(await install([leased(1), leased(2)], {}, gone), undefined)
  execFileSync('userdel', ['--force', name], { stdio: 'pipe' })
  assert.equal(await uninstall([leased(1)], {}, gone), undefined)
  assert.match(readFileSync(file, 'utf8'), /^expiry-time=.*web\/2,made=file\n$/)
  assert.equal(await uninstall([leased(2)], {}, gone), undefined)
  assert.equal(existsSync(file), false)
  for (const lock of readdirSync(LOCKS)) {
    if (lock !== `${uid}`) rmSync(path.join(LOCKS, lock))
  }
})

test('protocols 4.2: the entry has to have the name that was asked for', async () => {
  for (const name of [ALICE.toUpperCase(), 'root', `${ALICE}x`]) {
    const change: Change = ['getent passwd "$user"', `echo "${name}:x:${uid}:0::${home}:/bin/sh"`]
    assert.match((await install([leased(1)], { change })) ?? '', /does not exist/)
  }
  const change: Change = ['command -v getent', 'command -v no-getent']
  assert.equal(await install([leased(1)], { change }), undefined)
  assert.equal(await uninstall([leased(1)], { change }), undefined)
})

test('protocols 4.2: a user of number 0 is root, whatever the name', async () => {
  const name = `pt-su${process.pid}`
  addUser(name, '--non-unique', '--uid', '0')
  const toor = { ...place, username: name }
  assert.match((await install([leased(1)], {}, toor)) ?? '', /is root on the host/)
  assert.equal(existsSync(path.join(folder, name, '.ssh')), false)
  const allowed = { ...toor, mayBeRoot: true }
  assert.equal(await install([leased(1)], {}, allowed), undefined)
  assert.equal(statSync(path.join(folder, name, '.ssh/authorized_keys')).uid, 0)
  assert.equal(await uninstall([leased(1)], {}, allowed), undefined)
  for (const number of ['-1', '4294967295', '00', '1x', '']) {
    const change: Change = [
      'getent passwd "$user"',
      `echo "${ALICE}:x:${number}:0::${home}:/bin/sh"`,
    ]
    assert.match((await install([leased(1)], { change })) ?? '', /has no number|is root/)
  }
})

test('protocols 4.1: a full disk leaves the file as it was, and nothing beside it', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=64k,mode=755,uid=${uid}`, 'tmpfs', home])
  try {
    const fill = () =>
      execFileSync('sh', ['-c', `cat /dev/zero > ${home}/zeros || :`], { stdio: 'pipe' })
    fill()
    assert.match((await install([leased(1)])) ?? '', /^cannot .*No space left on device$/)
    assert.deepEqual(left(), ['zeros'])
    rmSync(path.join(home, 'zeros'))
    mkdirSync(path.dirname(keysFile), { mode: 0o700 })
    writeFileSync(keysFile, '# mine')
    for (const made of [keysFile, path.dirname(keysFile)]) chownSync(made, uid, uid)
    fill()
    assert.match((await install([leased(1)])) ?? '', /^cannot .*No space left on device$/)
    assert.equal(readFileSync(keysFile, 'utf8'), '# mine')
    assert.deepEqual(left(), ['.ssh', '.ssh/authorized_keys', 'zeros'])
  } finally {
    execFileSync('umount', [home])
  }
})

test('a home that is not there, or not the user’s, is named', async () => {
  execFileSync('mv', [home, `${home}-away`])
  assert.match((await install([leased(1)])) ?? '', /does not exist, or is closed/)
  assert.match((await uninstall([leased(1)])) ?? '', /does not exist, or is closed/)
  execFileSync('install', ['-d', '-m', '755', home])
  assert.match((await install([leased(1)])) ?? '', /^cannot make \S+: Permission denied$/)
  rmSync(home, { recursive: true })
  execFileSync('mv', [`${home}-away`, home])
})

test('a script of the role’s own runs as the admin user, with its arguments, and leaves nothing', async () => {
  const script =
    '#!/bin/bash\nid -un; echo "$POSTERN_USER|$1|$3|$(cat "$2")" > ~/seen; touch made-here; [[ -f key.pub ]]'
  const own = { ...place, installScript: script }
  assert.equal(await install([leased(1)], {}, own), undefined)
  const seen = readFileSync(path.join(folder, ADMIN, 'seen'), 'utf8')
  assert.match(
    seen,
    /^pt-sb\d+\|install\|\/\S+\/\.ssh\/authorized_keys\|expiry-time="\d{14}Z",.* postern:\S+\n$/,
  )
  assert.equal(seen.split('|')[2], keysFile)
  assert.equal(await uninstall([leased(1)], {}, own), undefined)
  assert.equal(
    readFileSync(path.join(folder, ADMIN, 'seen'), 'utf8'),
    seen.replace('|install|', '|uninstall|'),
  )
  const failing = {
    ...place,
    installScript: 'echo >&2; echo "no such $2" >&2; echo more >&2; exit 7',
  }
  assert.equal(
    await install([leased(1)], {}, failing),
    'the install script ended with status 7: no such key.pub',
  )
  const slow = { ...place, installScript: 'sleep 60' }
  const change: Change = ['timeout 20', 'timeout 1']
  assert.match((await install([leased(1)], { change }, slow)) ?? '', /status 124$/)
  assert.deepEqual(left(ADMIN), ['seen'])
})

test('protocols 4.1: nothing outside the home changes while links race over 1,000 installs', {
  timeout: 300_000,
}, async () => {
  const outside = path.join(folder, 'outside')
  mkdirSync(path.join(outside, '.ssh'), { recursive: true })
  const victim = path.join(outside, 'authorized_keys')
  writeFileSync(victim, '# victim\n')
  // The user may write there: only the script itself keeps out.
  execFileSync('chown', ['-R', ALICE, outside])
  writeFileSync(path.join(folder, 'script'), INSTALL_SCRIPT)
  writeFileSync(path.join(folder, 'lines'), `${leased(1).publicKey} me\n`)
  const swapper = spawn(process.execPath, ['--eval', SWAPPER, home, outside], {
    uid,
    gid: statSync(home).gid,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const loop = `cd ${folder}; i=0; good=0; while [ $i -lt 250 ]; do i=$((i + 1))
    sh script install lines ${keysFile} 2>/dev/null && good=$((good + 1)); done; echo $good`
  const runs = Array.from({ length: 4 }, async () => {
    const child = execFile('runuser', ['-u', ALICE, '--', 'sh', '-c', loop])
    const [good] = await once(child.stdout as NodeJS.ReadableStream, 'data')
    return Number(good)
  })
  const good = await Promise.all(runs)
  swapper.kill()
  await once(swapper, 'close')
  assert.equal(readFileSync(victim, 'utf8'), '# victim\n')
  assert.deepEqual(readdirSync(outside, { recursive: true }).sort(), ['.ssh', 'authorized_keys'])
  // Some were let through and some refused, or it was no race.
  const sum = good.reduce((one, other) => one + other)
  assert.ok(sum > 0 && sum < 1000, `${sum}`)
})

/** In a home of its user: puts links to the outside in the places of the file and of its folder, and takes them away. */
const SWAPPER = `
  const fs = require('node:fs')
  const [home, outside] = process.argv.slice(1)
  const attempt = (act) => { try { act() } catch {} }
  const file = home + '/.ssh/authorized_keys'
  const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.random() * 6)
  for (;;) {
    for (const target of [outside + '/authorized_keys', outside, outside + '/nothing']) {
      attempt(() => { fs.symlinkSync(target, home + '/link'); fs.renameSync(home + '/link', file) })
      pause()
      attempt(() => fs.rmSync(file))
      pause()
    }
    attempt(() => { fs.renameSync(home + '/.ssh', home + '/.real'); fs.symlinkSync(outside, home + '/.ssh') })
    pause()
    attempt(() => fs.unlinkSync(home + '/.ssh'))
    attempt(() => fs.renameSync(home + '/.real', home + '/.ssh'))
    attempt(() => fs.rmSync(home + '/.real', { recursive: true }))
    pause()
  }
`
