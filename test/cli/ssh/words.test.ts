import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { assertPlain } from '../../../src/cli/ssh/target.ts'
import { readSshWords } from '../../../src/cli/ssh/words.ts'

suite('the words for ssh', () => {
  const read = (line: string) => readSshWords(line.split(' '))

  test('are kept as they are', () => {
    const words = ['a@h', '-L', '1:b:2', 'ls', '-l', '-p', '3']
    assert.deepEqual(readSshWords(words).words, words)
  })

  for (const [line, host] of [
    ['h', 'h'],
    ['a@h', 'h'],
    ['a@b@h', 'h'],
    ['ssh://h', 'h'],
    ['ssh://a@h:22/', 'h'],
    ['ssh://a@[::1]:22', '::1'],
    ['a@fe80::1%eth0', 'fe80::1%eth0'],
  ] as const) {
    test(`${line} is for the host ${host}`, () => assert.equal(read(line).hostName, host))
  }

  test('know an option from a command', () => {
    assert.equal(read('h -p 22 -vv -tt -oUser=x -L 1:b:2').hasCommand, false)
    assert.equal(read('h -p22 uptime').hasCommand, true)
    assert.equal(read('h uptime -p 22').namesPort, false)
    assert.equal(read('h -- -p 22').hasCommand, true)
    assert.equal(read('h --').hasCommand, false)
  })

  test('know the port in all its forms', () => {
    for (const line of ['h -p 3', 'h -p3', 'h -vp 3', 'h -oPort=3', 'h -o port=3', 'ssh://h:3']) {
      assert.equal(read(line).namesPort, true, line)
    }
    assert.equal(readSshWords(['h', '-o', 'Port 3']).namesPort, true)
    for (const line of ['h', 'h -L p', 'h -l p', 'h -o PortX=1', 'ssh://h/']) {
      assert.equal(read(line).namesPort, false, line)
    }
  })

  test('know a pipe', () => {
    assert.equal(read('h -W x:1').isPipe, true)
    assert.equal(read('h -w 1:1').isPipe, false)
  })

  test('begin with a destination', () => {
    assert.throws(() => readSshWords([]), /expected 1-n, got 0/)
    assert.throws(() => readSshWords(['-oProxyCommand=x', 'h']), /not a destination/)
  })
})

suite('names of hosts and users', () => {
  test('protocols 5.7: hold nothing that a shell or ssh takes for more', () => {
    for (const name of [
      '-x',
      '-oProxyCommand=x',
      "a'b",
      'a"b',
      'a`b',
      'a$b',
      'a;b',
      'a b',
      'a\nb',
      '',
    ]) {
      assert.throws(() => assertPlain('host', name), /not a host name/, name)
      assert.throws(() => assertPlain('user', name), /not a user name/, name)
    }
    assert.throws(() => assertPlain('host', 'a/b'))
    for (const name of ['h', '10.0.0.7', 'fe80::1%eth0', 'web-1.example.org', '[::1]']) {
      assert.doesNotThrow(() => assertPlain('host', name), name)
    }
    for (const name of ['root', 'a.b_c-d', 'dom\u00e4ne', 'user@realm', 'svc$'.slice(0, 3)]) {
      assert.doesNotThrow(() => assertPlain('user', name), name)
    }
  })
})
