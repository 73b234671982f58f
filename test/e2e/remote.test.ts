/** Programs on a real sshd: shared connections, host keys, admin keys, and what goes wrong (protocols 4.2 and 4.6). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { badRequest } from '../../src/errors.ts'
import { Secret } from '../../src/redact.ts'
import { Connections } from '../../src/remote/connections.ts'
import type { RemoteLimits, Target } from '../../src/remote/target.ts'
import {
  encodePrivateKey,
  generateKeyPair,
  type PrivateKey,
} from '../../src/ssh/key/private-key.ts'
import { messageOf, startFakeHost, targetAt } from '../remote/support.ts'
import { eventually } from '../support/site.ts'
import { makeUser, type PrivateSshd, startSshd } from '../support/sshd.ts'

const USER = 'postern-remote'
/** Has to show two keys. */
const USER_OF_TWO = 'postern-remote2'

const stack = new AsyncDisposableStack()
let sshd: PrivateSshd
let admin: PrivateKey

before(async () => {
  admin = await generateKeyPair('ed25519', 0)
  for (const name of [USER, USER_OF_TWO]) stack.use(makeUser(name))
  sshd = stack.use(
    await startAdminSshd(
      [admin],
      [`Match User ${USER_OF_TWO}`, 'AuthenticationMethods publickey,publickey'],
    ),
  )
})

after(() => stack.disposeAsync())

function startAdminSshd(keys: readonly PrivateKey[], settings: readonly string[] = []) {
  const lines = keys.map(({ publicKey: { algorithm, blob } }) => {
    return `${algorithm.name} ${Buffer.from(blob).toString('base64')}\n`
  })
  // Read by root: the folder of the test's sshd is nobody else's.
  const find = [
    'AuthorizedKeysCommand /bin/cat FOLDER/admins',
    'AuthorizedKeysCommandUser root',
    'MaxStartups 100',
  ]
  return startSshd({ settings: [...find, ...settings], files: { admins: lines.join('') } })
}

/** Connections that are closed when the test ends. */
function connections(limits: Partial<RemoteLimits> = {}) {
  const remote = new Connections(limits)
  return {
    run: (target: Target, program: string) => remote.run(target, program),
    [Symbol.asyncDispose]: () => remote.close(),
  }
}

function target(more: Partial<Target> = {}, port = sshd.port): Target {
  const privateKey = new Secret(encodePrivateKey(admin.keyObject))
  return targetAt(port, { user: USER, privateKey, ...more })
}

/** What sshd logs from now on. */
function logFromNow(): () => string {
  const start = sshd.log().length
  return () => sshd.log().slice(start)
}

const count = (text: string, part: string) => text.split(part).length - 1

test('a program runs by sh, and its status, output and the server come back', async () => {
  await using remote = connections()
  const result = await remote.run(target(), 'id -un; echo "it is" not >&2; exit 3\n')
  const { serverVersion, ...rest } = result
  assert.deepEqual(rest, { status: 3, stdout: `${USER}\n`, stderr: 'it is not\n' })
  assert.match(serverVersion, /^OpenSSH_\d+\.\d+/)
})

test('a session that a signal ends has no status, but the signal', async () => {
  await using remote = connections()
  const { status, signal } = await remote.run(target(), 'kill -9 $PPID\n')
  assert.deepEqual({ status, signal }, { status: null, signal: 'SIGKILL' })
})

test('admin keys of every kind log in, in the form that encodePrivateKey writes', async () => {
  const kinds = [['rsa', 2048] as const, ...[256, 384, 521].map((n) => ['ecdsa', n] as const)]
  const keys = await Promise.all(kinds.map(([kind, bits]) => generateKeyPair(kind, bits)))
  await using host = await startAdminSshd(keys)
  await using remote = connections()
  for (const [index, { keyObject }] of keys.entries()) {
    const privateKey = new Secret(encodePrivateKey(keyObject))
    const place = target({ privateKey, keyId: `${index}` }, host.port)
    assert.equal((await remote.run(place, 'exit 0')).status, 0)
  }
})

test('thirty programs for one host share a connection', async () => {
  await using remote = connections()
  const log = logFromNow()
  const numbers = Array.from({ length: 30 }, (_, index) => `${index}`)
  const results = await Promise.all(
    numbers.map((number) => remote.run(target(), `echo ${number}\n`)),
  )
  assert.deepEqual(
    results.map(({ stdout }) => stdout.trim()),
    numbers,
  )
  assert.equal(count(log(), 'Accepted publickey'), 1)
})

test('a host that allows one session gets one, and the other programs wait', async () => {
  await using host = await startAdminSshd([admin], ['MaxSessions 1'])
  await using remote = connections()
  const runs = Array.from({ length: 40 }, () => remote.run(target({}, host.port), 'exit 0'))
  assert.deepEqual(new Set((await Promise.all(runs)).map(({ status }) => status)), new Set([0]))
  assert.equal(count(host.log(), 'Accepted publickey'), 1)
})

test('a host that allows no session refuses it', async () => {
  await using host = await startAdminSshd([admin], ['MaxSessions 0'])
  await using remote = connections()
  const message = await messageOf(remote.run(target({}, host.port), 'exit 0'))
  assert.match(message, /^127\.0\.0\.1 port \d+ refuses a session: .*open failed/)
})

test('other users, keys and host key types have connections of their own', async () => {
  await using remote = connections()
  const log = logFromNow()
  const places = [{}, { keyId: 'other' }, { hostKeyAlgorithms: ['ssh-ed25519'] }]
  await Promise.all(places.map((more) => remote.run(target(more), 'exit 0')))
  assert.equal(count(log(), 'Accepted publickey'), 3)
})

test('a connection that nobody uses is closed', async () => {
  await using remote = connections({ idleMs: 1 })
  const log = logFromNow()
  await remote.run(target(), 'exit 0')
  while (!log().includes('Disconnected from user')) await new Promise((go) => setTimeout(go, 10))
  await remote.run(target(), 'exit 0')
  assert.equal(count(log(), 'Accepted publickey'), 2)
})

test('a host key that is refused ends the connection before the user is named', async () => {
  await using remote = connections()
  const log = logFromNow()
  const refuse = async () => {
    throw badRequest('this is not the key of that host')
  }
  const user = 'postern-nobody'
  const message = await messageOf(remote.run(target({ user, checkHostKey: refuse }), 'exit 0'))
  assert.equal(message, 'this is not the key of that host')
  // Its end is logged when it has been seen.
  while (!log().includes('[preauth]')) await new Promise((go) => setTimeout(go, 10))
  assert.doesNotMatch(log(), /postern-nobody|Accepted/)
})

test('on a shared connection every program has the host key judged, and only its own is refused', async () => {
  await using remote = connections()
  const seen: string[] = []
  const judge = (verdict?: Error) => async (blob: Uint8Array) => {
    seen.push(Buffer.from(blob).toString('base64'))
    if (verdict) throw verdict
  }
  const changed = badRequest('the host key changed')
  const [first, second] = await Promise.all([
    messageOf(remote.run(target({ checkHostKey: judge(changed) }), 'exit 0')),
    remote.run(target({ checkHostKey: judge() }), 'echo fine'),
  ])
  assert.equal(first, 'the host key changed')
  assert.equal(second.stdout, 'fine\n')
  const third = await messageOf(remote.run(target({ checkHostKey: judge(changed) }), 'exit 0'))
  assert.equal(third, 'the host key changed')
  assert.equal(seen.length, 3)
  assert.equal(new Set(seen).size, 1)
})

test('a host key that its shower cannot sign with is never offered to be judged', async () => {
  let shown: Buffer | undefined
  await using honest = connections()
  const take = async (blob: Uint8Array) => {
    shown = Buffer.from(blob).subarray(-32)
  }
  await honest.run(target({ checkHostKey: take }), 'exit 0')
  // On the way the host's public key is replaced by that of another.
  await using proxy = await startFakeHost((socket) => {
    const upstream = connect(sshd.port, '127.0.0.1')
    socket.pipe(upstream)
    upstream.on('data', (bytes) => {
      const at = bytes.indexOf(shown as Buffer)
      if (at >= 0) admin.publicKey.blob.copy(bytes, at, admin.publicKey.blob.length - 32)
      socket.write(bytes)
    })
    for (const one of [socket, upstream]) one.on('error', () => upstream.destroy())
    once(socket, 'close').then(() => upstream.destroy())
  })
  let isJudged = false
  const judge = async () => {
    isJudged = true
  }
  await using remote = connections()
  const message = await messageOf(remote.run(target({ checkHostKey: judge }, proxy.port), 'exit 0'))
  assert.match(message, /^the SSH handshake with .* failed: .*signature verification failed/)
  assert.equal(isJudged, false)
})

test('an admin key that the host does not know is told, with the user', async () => {
  const { keyObject } = await generateKeyPair('ed25519', 0)
  await using remote = connections()
  const privateKey = new Secret(encodePrivateKey(keyObject))
  const message = await messageOf(remote.run(target({ privateKey }), 'exit 0'))
  assert.equal(message, `127.0.0.1 port ${sshd.port} refuses the admin key of "${USER}"`)
})

test('protocols 4.6: one key is offered, and nothing after it', async () => {
  await using remote = connections()
  const log = logFromNow()
  const message = await messageOf(remote.run(target({ user: USER_OF_TWO }), 'exit 0'))
  assert.match(message, /asks for more than the admin key of "postern-remote2"$/)
  // What sshd writes comes a moment after what it answers.
  await eventually(() => log().includes('Partial publickey'), 'sshd wrote nothing of the key')
  assert.equal(count(log(), 'Postponed publickey'), count(log(), 'Partial publickey'))
  assert.doesNotMatch(log(), /password|keyboard/)
})

test('an admin key in another form is refused without a word of it', async () => {
  await using remote = connections()
  const privateKey = new Secret(
    '-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n',
  )
  const message = await messageOf(remote.run(target({ privateKey }), 'exit 0'))
  assert.equal(message, 'the admin key is in a form that cannot be used')
})

test('a host with weak algorithms only is refused', async () => {
  await using host = await startAdminSshd([admin], ['MACs hmac-sha1', 'Ciphers aes128-ctr'])
  await using remote = connections()
  const message = await messageOf(remote.run(target({}, host.port), 'exit 0'))
  assert.match(message, /^the SSH handshake with .* failed: .*no matching/)
})

test('of much output the first 64 KiB are kept, and a flood is cut', async () => {
  await using remote = connections({ floodBytes: 1_000_000 })
  const { status, stdout, stderr } = await remote.run(
    target(),
    "head -c 300000 /dev/zero | tr '\\0' o; head -c 70000 /dev/zero | tr '\\0' e >&2\n",
  )
  assert.equal(status, 0)
  assert.equal(stdout, 'o'.repeat(65_536))
  assert.equal(stderr, 'e'.repeat(65_536))
  const message = await messageOf(remote.run(target(), 'cat /dev/zero'))
  assert.match(message, /sends more than a program may print$/)
})

test('a connection that is cut in the middle fails whoever is on it, and the next one is new', async () => {
  await using remote = connections()
  const log = logFromNow()
  const runs = [1, 2].map(() => {
    const sent = Promise.withResolvers<void>()
    const run = messageOf(remote.run(target({ beforeSend: sent.resolve }), 'sleep 2'))
    return { run, isSent: sent.promise }
  })
  await Promise.all(runs.map(({ isSent }) => isSent))
  process.kill(Number(/User child is on pid (\d+)/.exec(log())?.[1]), 'SIGKILL')
  for (const { run } of runs) {
    assert.match(await run, /^the connection to 127\.0\.0\.1 port \d+ was cut: /)
  }
  assert.equal((await remote.run(target(), 'exit 0')).status, 0)
})

test('a kept connection that the host has ended is made anew, and the program runs once', {
  timeout: 60_000,
}, async (t) => {
  const sockets: Socket[] = []
  const between = createServer((client) => {
    const server = connect(sshd.port, '127.0.0.1')
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => {})
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
    sockets.push(client)
  }).listen(0, '127.0.0.1')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    between.close()
  })
  await once(between, 'listening')
  const place = target({}, (between.address() as AddressInfo).port)
  await using remote = connections()
  for (const cut of [
    (socket: Socket) => socket.end(),
    (socket: Socket) => socket.resetAndDestroy(),
  ]) {
    // Once as nobody knows of it yet, once as the end is under way, and once well after it.
    for (const wait of [0, 1, 50]) {
      await remote.run(place, 'exit 0')
      cut(sockets.at(-1) as Socket)
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
      assert.equal((await remote.run(place, 'echo once\n')).stdout, 'once\n')
    }
  }
  // What was sent may have run: it is not sent again.
  const before = sockets.length
  const running = remote.run(place, 'sleep 5')
  setTimeout(() => sockets.at(-1)?.destroy(), 200)
  assert.match(await messageOf(running), /was cut|before the program's end/)
  assert.equal(sockets.length, before)
})

test('a program that does not end is left, and its connection is not used again', async () => {
  await using remote = connections({ wholeMs: 700 })
  const log = logFromNow()
  await remote.run(target(), 'exit 0')
  let isSent = false
  const beforeSend = () => {
    isSent = true
  }
  const message = await messageOf(remote.run(target({ beforeSend }), 'sleep 2'))
  assert.match(message, /^the program did not end on 127\.0\.0\.1 port \d+ within 0\.7 s$/)
  assert.equal(isSent, true)
  assert.equal((await remote.run(target(), 'exit 0')).status, 0)
  assert.equal(count(log(), 'Accepted publickey'), 2)
})

test('a program longer than the window is read to its end', async () => {
  await using remote = connections()
  const program = `${'# a line of a long program\n'.repeat(100_000)}echo end\n`
  assert.equal((await remote.run(target(), program)).stdout, 'end\n')
})

test('twenty connections at once', async () => {
  await using remote = connections()
  const runs = Array.from({ length: 20 }, (_, index) => {
    return remote.run(target({ keyId: `${index}` }), 'echo "$SSH_CONNECTION"')
  })
  assert.equal(new Set((await Promise.all(runs)).map(({ stdout }) => stdout)).size, 20)
})

test('closing cuts a program that runs', async () => {
  const remote = new Connections()
  const sent = Promise.withResolvers<void>()
  const run = messageOf(remote.run(target({ beforeSend: sent.resolve }), 'sleep 1'))
  await sent.promise
  await remote.close()
  assert.equal(await run, 'the server is shutting down')
})
