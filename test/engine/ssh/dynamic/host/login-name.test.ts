/** Names that are looked up on hosts (protocols 4.2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isLoginName } from '../../../../../src/engine/ssh/dynamic/host/login-name.ts'

test('protocols 4.2: names of users pass', () => {
  for (const name of ['root', 'a', '_apt', 'web-1.x', 'machine$', 'a'.repeat(32)]) {
    assert.equal(isLoginName(name), true, name)
  }
})

test('protocols 4.2: numbers, paths, options and what a shell reads do not', () => {
  const names = [
    '',
    '0',
    '1000',
    '-u',
    '.',
    '..',
    'a/b',
    'a b',
    'a\n',
    'Alice',
    '\u212a',
    'a$b',
    'a;b',
    'é',
  ]
  for (const name of [...names, '#0', '*', "a'", 'a'.repeat(33)]) {
    assert.equal(isLoginName(name), false, name)
  }
})

test('protocols 4.2: a name that passes is one word for every shell, whatever was tried', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'a0_.-$/ \n#*\'"\\=:K'), maxLength: 34 })
  fc.assert(
    fc.property(fc.oneof(letters, fc.string({ unit: 'binary' })), (name) => {
      const isPlain = /^[a-z0-9_.$-]+$/.test(name) && /^[a-z_]/.test(name) && name.length <= 33
      assert.ok(!isLoginName(name) || isPlain, JSON.stringify(name))
    }),
  )
})
