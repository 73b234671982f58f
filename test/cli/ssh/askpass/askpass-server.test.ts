import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { answerer } from '../../../../src/cli/ssh/askpass/askpass-server.ts'
import { Secret } from '../../../../src/redact.ts'

const target = { user: 'alice', host: '10.0.0.7', shownHost: '10.0.0.7', hasProxy: false }

suite('what is asked while ssh logs in with a one-time password', () => {
  let spent = 0
  const make = (more: Partial<typeof target> = {}) =>
    answerer({ ...target, ...more }, new Secret('the-otp'), () => {
      spent++
    })

  for (const question of [
    '(alice@10.0.0.7) Password: ',
    '(alice@10.0.0.7) One-time password for alice: ',
    "alice@10.0.0.7's password: ",
    'Password: ',
  ]) {
    test(`${question} is answered once, and refused after that`, () => {
      const before = spent
      const answer = make()
      assert.deepEqual(answer(question), { answer: 'the-otp' })
      assert.deepEqual(answer(question), { isRefused: true })
      assert.equal(spent, before + 1)
    })
  }

  for (const question of [
    '(alice@jump) Password: ',
    '(bob@10.0.0.7) Password: ',
    "alice@jump's password: ",
    "alice@10.0.0.70's password: ",
    '(alice@10.0.0.7) Verification code: ',
    '(alice@jump) (alice@10.0.0.7) Password: ',
    "Enter passphrase for key '/home/alice/.ssh/id_rsa': ",
    "The authenticity of host '10.0.0.7' can't be established. Password: (yes/no/[fingerprint])? ",
    "Enter PIN for '/usr/lib/pkcs11.so': ",
    '',
  ]) {
    test(`${JSON.stringify(question)} is for somebody at the terminal`, () => {
      assert.deepEqual(make()(question), {})
    })
  }

  test('a question without a name is nobody\u2019s as soon as there is a jump host', () => {
    assert.deepEqual(make({ hasProxy: true })('Password: '), {})
  })

  test('an alias of the host key is a name of the target', () => {
    const answer = make({ shownHost: 'Web-1' })
    assert.deepEqual(answer('(alice@web-1) Password: '), { answer: 'the-otp' })
  })
})
