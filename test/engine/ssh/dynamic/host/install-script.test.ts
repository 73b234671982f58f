/** The built-in script in each shell that hosts have, as the user who runs the tests (contract 9, protocols 4.1 and 4.4). */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import fc from 'fast-check'
import { INSTALL_SCRIPT } from '../../../../../src/engine/ssh/dynamic/host/install-script.ts'

const key = (letter: string) => `AAAA${letter.repeat(64)}`
const keyLine = (letter: string) =>
  `expiry-time="20300101000000Z",command="ssh-rsa AAAAx \\" y" ssh-ed25519 ${key(letter)} postern:lease/${letter}`

for (const shell of [['dash'], ['bash'], ['busybox', 'sh']] as const) {
  suite(`the built-in script in ${shell.join(' ')}${shell.length > 1 ? ' with its applets alone' : ''}`, () => {
    let folder = ''
    const inFolder = (...names: string[]) => path.join(folder, ...names)
    const file = () => inFolder('.ssh', 'authorized_keys')
    const content = () => readFileSync(file(), 'latin1')

    before(() => {
      folder = mkdtempSync(path.join(os.tmpdir(), 'postern-script-'))
      const [, ...isBusybox] = shell
      if (isBusybox.length > 0) {
        mkdirSync(inFolder('applets'))
        execFileSync('busybox', ['--install', '-s', inFolder('applets')])
      }
      const script = INSTALL_SCRIPT.replace(/^LC_ALL=C PATH=\S+$/m, (line) => {
        return isBusybox.length > 0 ? `LC_ALL=C PATH=${inFolder('applets')}` : line
      })
      assert.equal(script === INSTALL_SCRIPT, isBusybox.length === 0)
      writeFileSync(inFolder('script'), script)
    })
    after(() => rmSync(folder, { recursive: true, force: true }))

    /** Starts anew with this file; undefined: without it and its folder. */
    function start(text?: string | Uint8Array, mode = 0o600): void {
      rmSync(inFolder('.ssh'), { recursive: true, force: true })
      if (text === undefined) return
      mkdirSync(inFolder('.ssh'), { mode: 0o700 })
      writeFileSync(file(), text)
      chmodSync(file(), mode)
    }

    function run(verb: string, lines: string, target = file()) {
      writeFileSync(inFolder('lines'), `${lines}\n`)
      const [program, ...args] = shell
      const { status, stdout, stderr } = spawnSync(
        program,
        [...args, inFolder('script'), verb, inFolder('lines'), target],
        { encoding: 'utf8' },
      )
      assert.equal(stdout, '')
      assert.match(stderr, status === 0 ? /^$/ : /^postern: [^\n]+\n$/)
      return { status, stderr }
    }

    function done(verb: string, lines: string): void {
      const { status, stderr } = run(verb, lines)
      assert.equal(status, 0, stderr)
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.startsWith('.postern')),
        [],
      )
    }

    function refused(verb: string, lines: string, message: RegExp, target = file()): void {
      const { status, stderr } = run(verb, lines, target)
      assert.notEqual(status, 0)
      assert.match(stderr, message)
      if (!existsSync(inFolder('.ssh'))) return
      assert.deepEqual(
        readdirSync(inFolder('.ssh')).filter((name) => name.startsWith('.postern')),
        [],
      )
    }

    test('makes folder and file, and leaves neither', () => {
      start()
      done('install', keyLine('A'))
      assert.equal(content(), `${keyLine('A')},made=folder\n`)
      assert.equal(statSync(file()).mode & 0o777, 0o600)
      assert.equal(statSync(inFolder('.ssh')).mode & 0o777, 0o700)
      done('install', keyLine('B'))
      done('uninstall', keyLine('A'))
      assert.equal(content(), `${keyLine('B')},made=folder\n`)
      done('uninstall', keyLine('B'))
      assert.equal(existsSync(inFolder('.ssh')), false)
      done('uninstall', keyLine('B'))
      assert.equal(existsSync(inFolder('.ssh')), false)
    })

    test('leaves the folder, and an empty file, where they were there before', () => {
      start('')
      done('install', keyLine('A'))
      done('uninstall', keyLine('A'))
      assert.equal(content(), '')
      rmSync(file())
      done('install', keyLine('A'))
      assert.equal(content(), `${keyLine('A')},made=file\n`)
      done('uninstall', keyLine('A'))
      assert.deepEqual(readdirSync(inFolder('.ssh')), [])
    })

    test('keeps what the user wrote meanwhile into a file that it made', () => {
      start()
      done('install', keyLine('A'))
      writeFileSync(file(), `${content()}# mine`)
      done('uninstall', keyLine('A'))
      assert.equal(content(), '# mine')
    })

    test('leaves the user’s lines as they were to the last byte, and the mode', () => {
      const line = fc.string({
        unit: fc.constantFrom(...'a \t"\\,#\r\x7f\xe9\xff%$\'`'),
        maxLength: 8,
      })
      const text = fc.array(line, { maxLength: 5 }).map((lines) => lines.join('\n'))
      fc.assert(
        fc.property(text, fc.constantFrom(0o600, 0o640, 0o400), (own, mode) => {
          start(Buffer.from(own, 'latin1'), mode)
          done('install', keyLine('A'))
          assert.equal(content(), `${keyLine('A')}\n${own}`)
          done('uninstall', keyLine('A'))
          assert.equal(content(), own)
          assert.equal(statSync(file()).mode & 0o777, mode)
        }),
        { numRuns: 3 },
      )
    })

    test('installs again in the place of the old line', () => {
      start('# mine')
      done('install', keyLine('A'))
      done('install', keyLine('A').replace('2030', '2031'))
      assert.equal(content(), `${keyLine('A').replace('2030', '2031')}\n# mine`)
    })

    test('protocols 4.4: removes a line that has the key as a word, whatever surrounds it', () => {
      const own = `# mine\nssh-ed25519 ${key('A')}B me\nssh-ed25519 X${key('A')} me\n`
      const edited = [
        `ssh-ed25519 ${key('A')}`,
        `\t no-pty,command="a b"  ssh-ed25519\t${key('A')}\tother words\r`,
        `ssh-ed25519 ${key('A')}\r`,
        `ssh-ed25519 ${key('A').slice(0, 20)}\f\v${key('A').slice(20)} x`,
        `# ssh-ed25519 ${key('A')} x`,
      ]
      start(`${edited.join('\n')}\n${own}ssh-ed25519 ${key('A')}`)
      done('uninstall', keyLine('A'))
      assert.equal(content(), own)
    })

    test('takes many keys at once', () => {
      start('# mine')
      const lines = Array.from({ length: 500 }, (_, index) => {
        return `expiry-time="20300101Z" ssh-rsa AAAA${'B'.repeat(300)}${index} postern:lease/${index}`
      })
      done('install', lines.join('\n'))
      assert.equal(content(), `${lines.join('\n')}\n# mine`)
      done('uninstall', lines.slice(1).join('\n'))
      assert.equal(content(), `${lines[0]}\n# mine`)
    })

    test('protocols 4.1: links, pipes, folders and files that are too large are refused as they are', () => {
      start('# mine\n')
      linkSync(file(), inFolder('other'))
      refused('install', keyLine('A'), /hard link/)
      rmSync(inFolder('other'))
      rmSync(file())
      writeFileSync(inFolder('other'), '# other\n')
      symlinkSync(inFolder('other'), file())
      refused('install', keyLine('A'), /not a regular file/)
      rmSync(file())
      symlinkSync(inFolder('nowhere'), file())
      refused('install', keyLine('A'), /not a regular file/)
      rmSync(file())
      execFileSync('mkfifo', [file()])
      refused('uninstall', keyLine('A'), /not a regular file/)
      rmSync(file())
      mkdirSync(file())
      refused('install', keyLine('A'), /not a regular file/)
      start(`${'#'.repeat(1023)}\n`.repeat(1024))
      refused('install', keyLine('A'), /larger than 1 MiB/)
      start(Buffer.alloc(1024 * 1024 + 1, '#\n'))
      refused('uninstall', keyLine('A'), /larger than 1 MiB/)
      start('a\0b\n')
      refused('install', keyLine('A'), /not a text/)
      assert.equal(content(), 'a\0b\n')
      assert.equal(readFileSync(inFolder('other'), 'utf8'), '# other\n')
      assert.equal(existsSync(inFolder('nowhere')), false)
    })

    test('protocols 4.1: a folder that is a link is not entered', () => {
      start()
      mkdirSync(inFolder('elsewhere'))
      symlinkSync(inFolder('elsewhere'), inFolder('.ssh'))
      refused('install', keyLine('A'), /is a link/)
      assert.deepEqual(readdirSync(inFolder('elsewhere')), [])
      rmSync(inFolder('elsewhere'), { recursive: true })
      refused('install', keyLine('A'), /cannot enter/)
      refused('install', keyLine('A'), /does not exist/, inFolder('no', '.ssh', 'authorized_keys'))
    })

    test('other arguments are refused', () => {
      start('# mine\n')
      refused('remove', keyLine('A'), /install or uninstall/)
      refused('', keyLine('A'), /install or uninstall/)
      refused('install', '# no key', /no public key/)
      refused('install', keyLine('A'), /whole path/, 'authorized_keys')
      assert.equal(content(), '# mine\n')
    })
  })
}
