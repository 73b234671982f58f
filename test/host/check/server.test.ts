/** The doctor's look at the server: its clock, and whether it answers. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { exitStatus } from '../../../src/host/check/finding.ts'
import { checkServer } from '../../../src/host/check/server.ts'

function answer(secondsOff: number) {
  const date = new Date(Date.now() - secondsOff * 1000).toUTCString()
  return checkServer(async () => ({ status: 200, contentType: 'text/plain', text: '', date }))
}

suite('the server, seen from a host', () => {
  test('a clock that is some seconds off is a warning, one that signed requests fail by is a fault (protocols 5.4)', async () => {
    assert.deepEqual(await answer(2), [])
    const [ahead] = await answer(30)
    assert.equal(ahead?.severity, 'warning')
    assert.match(ahead?.text ?? '', /this clock is (29|30|31) s ahead of the server's/)
    const [behind] = await answer(-120)
    assert.equal(behind?.severity, 'fault')
    assert.match(behind?.text ?? '', /behind the server's/)
    assert.equal(behind?.change, 'timedatectl set-ntp true')
  })

  test('a server that does not answer is a warning, and none that was named is none', async () => {
    const findings = await checkServer(() => Promise.reject(new Error('refused\nat once')))
    assert.deepEqual(
      findings.map(({ severity, text }) => [severity, text]),
      [['warning', "the server can't be reached: refused"]],
    )
    assert.deepEqual(await checkServer(undefined), [])
  })

  test('the exit status is that of the worst finding', () => {
    const finding = (severity: 'note' | 'warning' | 'fault') => ({ severity, check: '', text: '' })
    assert.equal(exitStatus([]), 0)
    assert.equal(exitStatus([finding('note')]), 0)
    assert.equal(exitStatus([finding('note'), finding('warning')]), 1)
    assert.equal(exitStatus([finding('fault'), finding('warning')]), 2)
  })
})
