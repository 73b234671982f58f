import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnvironment } from '../../src/client/environment.ts'

test('POSTERN_ variables win over BAO_ ones, and those over VAULT_ ones', () => {
  const environment = { VAULT_ADDR: 'http://v', BAO_ADDR: 'http://b', POSTERN_ADDR: 'http://p' }
  assert.equal(readEnvironment(environment).address, 'http://p')
  assert.equal(readEnvironment({ ...environment, POSTERN_ADDR: '' }).address, 'http://b')
  assert.equal(readEnvironment({ VAULT_ADDR: 'http://v' }).address, 'http://v')
  assert.equal(readEnvironment({}).address, 'https://127.0.0.1:8200')
})

test('an agent address wins over the server address', () => {
  const environment = { VAULT_AGENT_ADDR: 'unix:///run/a', POSTERN_ADDR: 'http://p' }
  assert.equal(readEnvironment(environment).address, 'unix:///run/a')
})

test('TLS settings, timeouts and switches are read, and bad values named', () => {
  const settings = readEnvironment({
    VAULT_CACERT: '/ca.pem',
    VAULT_SKIP_VERIFY: 'T',
    VAULT_TLS_SERVER_NAME: 'name',
    VAULT_CLIENT_TIMEOUT: '1m',
    VAULT_MAX_RETRIES: '3',
  })
  assert.equal(settings.tls.caFile, '/ca.pem')
  assert.equal(settings.tls.skipsVerify, true)
  assert.equal(settings.tls.serverName, 'name')
  assert.equal(settings.timeoutMilliseconds, 60_000)
  assert.equal(settings.maxRetries, 3)
  for (const [name, value] of [
    ['BAO_SKIP_VERIFY', 'yes'],
    ['BAO_CLIENT_TIMEOUT', 'soon'],
    ['BAO_MAX_RETRIES', '-1'],
  ] as const) {
    assert.throws(() => readEnvironment({ [name]: value }), new RegExp(name))
  }
})

test('the usual proxy variables are taken over', () => {
  assert.equal(readEnvironment({}).proxy, undefined)
  assert.deepEqual(readEnvironment({ https_proxy: 'http://p', NO_PROXY: 'x' }).proxy, {
    https_proxy: 'http://p',
    NO_PROXY: 'x',
  })
  assert.deepEqual(readEnvironment({ VAULT_PROXY_ADDR: 'http://p' }).proxy, {
    HTTP_PROXY: 'http://p',
    HTTPS_PROXY: 'http://p',
  })
})
