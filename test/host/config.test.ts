import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HclError } from '../../src/hcl/error.ts'
import { parseHostConfig } from '../../src/host/config.ts'

const full = `
vault_addr = "https://broker.test:8200"
ssh_mount_point = "infra/ssh/"
namespace = "root"
ca_cert = "/etc/postern/ca.pem"
tls_skip_verify = false
tls_server_name = "broker.test"
allowed_roles = "web, db"
allowed_cidr_list = "10.0.0.0/8"
`

test('a config of vault-ssh-helper is read as it is', () => {
  const config = parseHostConfig(full, false)
  assert.equal(config.address, 'https://broker.test:8200')
  assert.equal(config.mountPoint, 'infra/ssh')
  assert.equal(config.caFile, '/etc/postern/ca.pem')
  assert.equal(config.serverName, 'broker.test')
  assert.equal(config.skipsVerify, false)
  assert.deepEqual(config.allowedRoles, ['web', 'db'])
  assert.equal(config.allowedBlocks?.('10.9.9.9'), true)
})

test('the JSON form says the same', () => {
  const config = parseHostConfig('{"vault_addr": "https://b", "allowed_roles": "*"}', false)
  assert.equal(config.mountPoint, 'ssh')
  assert.deepEqual(config.allowedRoles, ['*'])
  assert.equal(config.allowedBlocks, undefined)
})

test('plain http needs -dev, and -dev needs plain http and drops the CA', () => {
  assert.throws(() => parseHostConfig('vault_addr = "http://b"', false), /unsupported scheme/)
  assert.throws(() => parseHostConfig('vault_addr = "https://b"', true), /unsupported scheme/)
  const config = parseHostConfig('vault_addr = "http://b"\nca_cert = "/x"', true)
  assert.equal(config.caFile, undefined)
})

test('an unknown key is named with its line', () => {
  const text = 'vault_addr = "https://b"\n\nbogus = 1\n'
  assert.throws(() => parseHostConfig(text, false), /invalid key "bogus" on line 3/)
})

test('a config that leaves a doubt is refused', () => {
  const address = 'vault_addr = "https://b"\n'
  assert.throws(() => parseHostConfig('', false), /missing config "vault_addr"/)
  assert.throws(() => parseHostConfig(`${address}${address}`, false), /set again on line 2/)
  assert.throws(() => parseHostConfig(`${address}allowed_roles = 7`, false), HclError)
  assert.throws(() => parseHostConfig(`${address}tls_skip_verify = "maybe"`, false), HclError)
  assert.throws(() => parseHostConfig(`${address}allowed_cidr_list = "10.0.0.1"`, false), /CIDR/)
  assert.throws(() => parseHostConfig(`${address}ssh_mount_point = "a/../b?x"`, false), TypeError)
  assert.throws(() => parseHostConfig('vault_addr = ', false), HclError)
})

test("the server's identity keys are read, and what is no key is refused", () => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8cqpXfDHcP7xuKnNMKnL/9GAHZBJGjQ6eCFOaHdTsM'
  const config = (lines: string) => parseHostConfig(`vault_addr = "https://b"\n${lines}`, false)
  const pinned = config(`server_key = "${key}, ${key} next"\ncluster_id = "c-1"`)
  assert.deepEqual(
    pinned.serverKeys.map(({ algorithm }) => algorithm.name),
    ['ssh-ed25519', 'ssh-ed25519'],
  )
  assert.equal(pinned.clusterId, 'c-1')
  assert.deepEqual(config('').serverKeys, [])
  assert.throws(() => config('server_key = "ssh-ed25519 AAAA"'), /^TypeError: server_key: /)
})
