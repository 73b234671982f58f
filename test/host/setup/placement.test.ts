/** Where the drop-in goes: it has to be read before everything else (hosts.md, item 7). */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { topLines, withoutTopLines, withTopLines } from '../../../src/host/setup/placement.ts'

const FILE = '/etc/ssh/sshd_config'
const INCLUDE = 'Include /etc/ssh/sshd_config.d/00-postern.conf\n'
const at = (keyword: string, value: string, line = 1) => ({ file: FILE, line, keyword, value })
const folder = at('include', '/etc/ssh/sshd_config.d/*.conf')

suite('the place of the drop-in', () => {
  test('it needs no line where the configuration begins with its folder', () => {
    assert.equal(topLines('ours\n', [folder, at('port', '22', 2)], 902), '')
    assert.equal(topLines('ours\n', [at('include', 'sshd_config.d/*.conf')], undefined), '')
  })

  test('it is included on top where anything else comes first', () => {
    for (const directives of [
      [],
      [at('port', '22'), { ...folder, line: 2 }],
      [at('include', '/etc/ssh/other.d/*.conf'), folder],
    ]) {
      assert.equal(topLines('ours\n', directives, 902), INCLUDE)
    }
  })

  test('an sshd without Include gets the lines themselves', () => {
    assert.equal(topLines('ours\n', [], 801), 'ours\n')
    assert.equal(topLines('ours\n', [], 802), INCLUDE)
  })

  test('lines on top are replaced, and taken away to the byte', () => {
    const config = '# mine\nPort 22\n'
    const once = withTopLines(config, INCLUDE)
    assert.equal(withTopLines(once, INCLUDE), once)
    assert.equal(withTopLines(once, 'a\nb\n').match(/Include/), null)
    assert.equal(withoutTopLines(once), config)
    assert.equal(withoutTopLines(config), config)
    assert.equal(withTopLines(once, ''), config)
  })
})
