/** The server's config file: what is read, what is only warned about, and what each mistake is called. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { loadServerConfig, parseServerConfig } from '../../src/config/parse.ts'
import type { ServerConfig, TcpListenerConfig } from '../../src/config/server-config.ts'
import { PosternError } from '../../src/errors.ts'
import { fuzz } from '../fuzz/runs.ts'

const base = 'storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n'

const configOf = (text: string): ServerConfig => parseServerConfig(text, 'p.hcl').config

function mistake(text: string): string {
  try {
    parseServerConfig(text, 'p.hcl')
  } catch (error) {
    assert.ok(error instanceof PosternError, `not a config error: ${error}`)
    assert.equal(error.code, 'invalid_config')
    return error.message
  }
  return 'accepted'
}

function tcpOf(settings: string): TcpListenerConfig {
  const text = `storage "inmem" {}\nlistener "tcp" {\n${settings}\n}`
  const [listener] = configOf(text).listeners
  assert.ok(listener?.type === 'tcp')
  return listener
}

describe('what is read', () => {
  it('a whole file', () => {
    const config = configOf(`
storage "sqlite" { path = "/var/lib/postern/postern.db" }
listener "tcp" {
  address = "0.0.0.0:8200"
  tls_cert_file = "/etc/postern/cert.pem"
  tls_key_file = "/etc/postern/key.pem"
  tls_min_version = "tls13"
  tls_client_ca_file = "/etc/postern/ca.pem"
  tls_require_and_verify_client_cert = "true"
  x_forwarded_for_authorized_addrs = "10.0.0.1, 10.1.0.0/16"
  x_forwarded_for_hop_skips = 1
  x_forwarded_for_reject_not_present = false
  http_read_header_timeout = "5s"
  max_request_size = 1048576
  max_request_duration = 30
  telemetry { unauthenticated_metrics_access = true }
}
listener "unix" {
  address = "/run/postern.sock"
  socket_mode = "0660"
  socket_user = "postern"
  socket_group = "1000"
}
seal "static" {
  current_key_id = "k1"
  current_key = "file:///etc/postern/seal.key"
}
audit "file" "log" {
  description = "the log"
  options { file_path = "/var/log/postern.log" mode = 0600 log_raw = false }
}
audit "stdout" "out/" {}
audit_dir = "/var/log/postern"
allow_compat_2015 = true
allow_install_scripts = 1
default_lease_ttl = "10m"
max_lease_ttl = 86400
log_level = "WARN"
log_format = "json"
api_addr = "https://postern.example:8200"
cluster_name = "one"
pid_file = "/run/postern.pid"
miss_limit { rate = 2.5 burst = 20 }
`)
    assert.deepEqual(config, {
      storage: { type: 'sqlite', path: '/var/lib/postern/postern.db' },
      listeners: [
        {
          type: 'tcp',
          address: '0.0.0.0:8200',
          host: '0.0.0.0',
          port: 8200,
          tls: {
            certFile: '/etc/postern/cert.pem',
            keyFile: '/etc/postern/key.pem',
            minVersion: 'TLSv1.3',
            clientCaFile: '/etc/postern/ca.pem',
            requireAndVerifyClientCert: true,
            disableClientCerts: false,
          },
          forwarded: {
            authorizedAddresses: ['10.0.0.1', '10.1.0.0/16'],
            hopSkips: 1,
            rejectNotAuthorized: true,
            rejectNotPresent: false,
          },
          limits: {
            maxRequestBytes: 1_048_576,
            maxRequestSeconds: 30,
            readHeaderTimeoutSeconds: 5,
            readTimeoutSeconds: 30,
            idleTimeoutSeconds: 300,
          },
          unauthenticatedMetricsAccess: true,
        },
        {
          type: 'unix',
          path: '/run/postern.sock',
          socketMode: 0o660,
          socketUser: 'postern',
          socketGroup: '1000',
          limits: {
            maxRequestBytes: 33_554_432,
            maxRequestSeconds: 90,
            readHeaderTimeoutSeconds: 10,
            readTimeoutSeconds: 30,
            idleTimeoutSeconds: 300,
          },
          unauthenticatedMetricsAccess: false,
        },
      ],
      seal: {
        type: 'static',
        currentKeyId: 'k1',
        currentKey: { from: 'file', path: '/etc/postern/seal.key' },
      },
      auditDevices: [
        {
          type: 'file',
          path: 'log/',
          description: 'the log',
          options: new Map([
            ['file_path', '/var/log/postern.log'],
            ['mode', '0600'],
            ['log_raw', 'false'],
          ]),
        },
        { type: 'stdout', path: 'out/', description: '', options: new Map() },
      ],
      auditDir: '/var/log/postern',
      allowCompat2015: true,
      allowInstallScripts: true,
      defaultLeaseTtlSeconds: 600,
      maxLeaseTtlSeconds: 86_400,
      logLevel: 'warn',
      logFormat: 'json',
      apiAddr: 'https://postern.example:8200',
      clusterName: 'one',
      pidFile: '/run/postern.pid',
      missLimit: { ratePerSecond: 2.5, burst: 20 },
    })
  })

  it('the JSON form means the same', () => {
    const json = {
      storage: { sqlite: { path: '/x' } },
      listener: [{ tcp: { tls_disable: 1 } }, { unix: { address: '/s' } }],
      audit: { file: { log: { options: { file_path: '/l' } } } },
      miss_limit: { rate: 5 },
    }
    const hcl = `storage "sqlite" { path = "/x" }
      listener "tcp" { tls_disable = 1 }
      listener "unix" { address = "/s" }
      audit "file" "log" { options { file_path = "/l" } }
      miss_limit { rate = 5 }`
    assert.deepEqual(configOf(JSON.stringify(json)), configOf(hcl))
  })

  it('the defaults', () => {
    const { listeners, ...rest } = configOf(base)
    assert.deepEqual(
      listeners.map((listener) => listener.type === 'tcp' && listener.address),
      ['127.0.0.1:8200'],
    )
    assert.deepEqual(rest, {
      storage: { type: 'inmem' },
      seal: { type: 'shamir' },
      auditDevices: [],
      auditDir: undefined,
      allowCompat2015: false,
      allowInstallScripts: false,
      defaultLeaseTtlSeconds: 2_764_800,
      maxLeaseTtlSeconds: 2_764_800,
      logLevel: 'info',
      logFormat: 'standard',
      apiAddr: undefined,
      clusterName: undefined,
      pidFile: undefined,
      missLimit: { ratePerSecond: 10, burst: 50 },
    })
  })

  it('a default lease TTL is never above the maximum', () => {
    const config = configOf(`${base}max_lease_ttl = "24h"`)
    assert.deepEqual([config.defaultLeaseTtlSeconds, config.maxLeaseTtlSeconds], [86_400, 86_400])
  })

  it('the address forms', () => {
    const forms: [string, string | undefined, number][] = [
      ['127.0.0.1:8200', '127.0.0.1', 8200],
      [':0', undefined, 0],
      ['[::1]:443', '::1', 443],
      ['localhost:65535', 'localhost', 65_535],
    ]
    for (const [address, host, port] of forms) {
      const listener = tcpOf(`tls_disable = true\naddress = "${address}"`)
      assert.deepEqual([listener.host, listener.port], [host, port])
    }
  })

  it('the sources of a static key', () => {
    const sources: [string, unknown][] = [
      ['current_key = "file:///k"', { from: 'file', path: '/k' }],
      ['key_file = "/k"', { from: 'file', path: '/k' }],
      ['current_key = "env://SEAL_KEY"', { from: 'env', name: 'SEAL_KEY' }],
      ['credential = "seal.key"', { from: 'credential', name: 'seal.key' }],
    ]
    for (const [text, expected] of sources) {
      const { seal } = configOf(`${base}seal "static" {\ncurrent_key_id = "k"\n${text}\n}`)
      assert.deepEqual(seal, { type: 'static', currentKeyId: 'k', currentKey: expected })
    }
  })

  it('the server-wide request duration counts for listeners without their own', () => {
    const text = 'storage "inmem" {}\ndefault_max_request_duration = "20s"\n'
    const { listeners } = configOf(`${text}listener "tcp" { tls_disable = true }
      listener "tcp" { tls_disable = true max_request_duration = "5s" }`)
    assert.deepEqual(
      listeners.map(({ limits }) => limits.maxRequestSeconds),
      [20, 5],
    )
  })
})

describe('warnings', () => {
  it('keys of the family without effect here are named with file and line', () => {
    const text = `${base}ui = true\ndisable_mlock = true\ntelemetry { statsd_address = "x" }`
    assert.deepEqual(parseServerConfig(text, 'p.hcl').warnings, [
      'p.hcl:3: "ui" has no effect here',
      'p.hcl:4: "disable_mlock" has no effect here',
      'p.hcl:5: "telemetry" has no effect here',
    ])
  })

  it('also those of a listener', () => {
    const text =
      'storage "inmem" {}\nlistener "tcp" {\ntls_disable = true\nproxy_protocol_behavior = "x" }'
    assert.deepEqual(parseServerConfig(text, 'p.hcl').warnings, [
      'p.hcl:4: listener "tcp": "proxy_protocol_behavior" has no effect here',
    ])
  })
})

describe('mistakes', () => {
  const tcp = (settings: string): string => `storage "inmem" {}\nlistener "tcp" {\n${settings}\n}`
  const seal = (settings: string): string => `${base}seal "static" {\n${settings}\n}`
  const mistakes: [string, string][] = [
    ['a = ', 'p.hcl:1: Unknown token: EOF'],
    [`${base}lisener "tcp" {}`, 'p.hcl:3: "lisener" is no known key; did you mean "listener"?'],
    [`${base}__proto__ = 1`, 'p.hcl:3: "__proto__" is no known key'],
    [`${base}constructor = 1`, 'p.hcl:3: "constructor" is no known key'],
    [
      tcp('tls_disble = true'),
      'p.hcl:3: listener "tcp": "tls_disble" is no known key; did you mean "tls_disable"?',
    ],
    [tcp('socket_mode = "0600"'), 'p.hcl:3: listener "tcp": "socket_mode" is no known key'],
    [
      tcp('tls_disable = "maybe"'),
      'p.hcl:3: listener "tcp": "tls_disable" is not what is expected: true or false',
    ],
    [
      tcp('tls_disable = true\ntls_disable = true'),
      'p.hcl:4: listener "tcp": "tls_disable" is given twice',
    ],
    [tcp('address = "x"'), 'p.hcl:3: listener "tcp": "address" is not what is expected: host:port'],
    [
      tcp('address = "x:70000"'),
      'p.hcl:3: listener "tcp": "address" is not what is expected: host:port',
    ],
    [tcp('address = 8200'), 'p.hcl:3: listener "tcp": "address" is not what is expected: a text'],
    [
      tcp('tls_key_file = "k"'),
      'p.hcl:2: listener "tcp": "tls_cert_file" is missing: a PEM file (or set tls_disable = true where TLS ends at a proxy)',
    ],
    [
      tcp('tls_min_version = "tls10"'),
      'p.hcl:3: listener "tcp": "tls_min_version" is not what is expected: one of 1.2, 1.3, tls12, tls13',
    ],
    [
      tcp('tls_disable = true\ntls_require_and_verify_client_cert = true'),
      'p.hcl:4: listener "tcp": "tls_require_and_verify_client_cert" needs TLS, which is disabled',
    ],
    [
      tcp('tls_disable = true\nx_forwarded_for_authorized_addrs = ["10.0.0.0/33"]'),
      'p.hcl:4: listener "tcp": "x_forwarded_for_authorized_addrs" is not what is expected: addresses and CIDR blocks, not "10.0.0.0/33"',
    ],
    [
      tcp('tls_disable = true\nhttp_read_timeout = "soon"'),
      'p.hcl:4: listener "tcp": "http_read_timeout" is not what is expected: a duration such as "90s" or "1h30m"',
    ],
    [
      tcp('tls_disable = true\nmax_request_size = 0'),
      'p.hcl:4: listener "tcp": "max_request_size" is not what is expected: a whole number of at least 1',
    ],
    [
      tcp('tls_disable = true\ntelemetry { x = 1 }'),
      'p.hcl:4: listener "tcp" telemetry: "x" is no known key',
    ],
    [`${base}listener "udp" {}`, 'p.hcl:3: listener "udp": only "tcp" and "unix" are offered'],
    [
      `${base}listener "unix" {}`,
      'p.hcl:3: listener "unix": "address" is missing: the path of the socket',
    ],
    [
      `${base}listener "unix" { address = "/s" socket_mode = "rw" }`,
      'p.hcl:3: listener "unix": "socket_mode" is not what is expected: an octal mode such as "0660"',
    ],
    ['storage "inmem" {}', 'p.hcl:1: a listener is missing: listener "tcp" { … }'],
    [
      'listener "tcp" { tls_disable = true }',
      'p.hcl:1: the storage is missing: storage "sqlite" { path = "/var/lib/postern/postern.db" }',
    ],
    [`${base}storage "inmem" {}`, 'p.hcl:3: "storage" is given twice'],
    [
      '\nstorage "raft" { path = "/x" }\nlistener "tcp" { tls_disable = true }',
      'p.hcl:2: storage "raft": not offered; use storage "sqlite" { path = "/var/lib/postern/postern.db" } (or "inmem" for trials)',
    ],
    [
      'storage "sqlite" {}\nlistener "tcp" { tls_disable = 1 }',
      'p.hcl:1: storage "sqlite": "path" is missing: the database file',
    ],
    [`${base}storage = "sqlite"`, 'p.hcl:3: storage: expected an object, got a string'],
    [
      `${base}seal "transit" { address = "x" }`,
      'p.hcl:3: seal "transit": only "shamir" and "static" are offered',
    ],
    [
      seal('key_file = "/k"'),
      'p.hcl:3: seal "static": "current_key_id" is missing: a name for the key',
    ],
    [
      seal('current_key_id = "k"'),
      'p.hcl:3: seal "static": give the key by one of current_key ("file://…" or "env://…"), key_file, credential',
    ],
    [
      seal('current_key_id = "k"\nkey_file = "k"'),
      'p.hcl:5: seal "static": "key_file" is not what is expected: an absolute path',
    ],
    [
      seal('current_key_id = "k"\ncredential = "../k"'),
      'p.hcl:5: seal "static": "credential" is not what is expected: the name of a credential',
    ],
    [`${base}audit "file" "a" {}`, 'p.hcl:3: audit "file" "a": options need "file_path"'],
    [
      `${base}audit "syslog" "a" {}`,
      'p.hcl:3: audit "syslog" "a": only file and stdout are offered',
    ],
    [
      `${base}audit "file" "a" { options { fil_path = "/x" } }`,
      'p.hcl:3: audit "file" "a": "options" has no option "fil_path"; did you mean "file_path"?',
    ],
    [
      `${base}audit "stdout" "a" {}\naudit "stdout" "a/" {}`,
      'p.hcl:4: audit path "a/" is given twice',
    ],
    [
      `${base}audit "stdout" "../a" {}`,
      'p.hcl:3: audit "stdout" "../a": the second label has to be a path',
    ],
    [
      `${base}default_lease_ttl = "2h"\nmax_lease_ttl = "1h"`,
      'p.hcl:3: "default_lease_ttl" is larger than max_lease_ttl',
    ],
    [
      `${base}api_addr = "postern:8200"`,
      'p.hcl:3: "api_addr" is not what is expected: an http or https URL',
    ],
    [
      `${base}log_level = "loud"`,
      'p.hcl:3: "log_level" is not what is expected: one of trace, debug, info, notice, warn, warning, error, err',
    ],
    [
      `${base}miss_limit { rate = 0 }`,
      'p.hcl:3: miss_limit: "rate" is not what is expected: a number of at least 0.001',
    ],
    [
      `${base}allow_compat_2015 = "yes"`,
      'p.hcl:3: "allow_compat_2015" is not what is expected: true or false',
    ],
  ]
  for (const [text, expected] of mistakes) {
    it(expected, () => assert.equal(mistake(text), expected))
  }

  it('a key that stands in the file itself is refused and not shown', () => {
    const key = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ='
    const message = mistake(seal(`current_key_id = "k"\ncurrent_key = "${key}"`))
    assert.match(message, /^p\.hcl:5: seal "static": "current_key" is not what is expected/)
    assert.ok(!message.includes(key))
  })

  it('any text is accepted or called an invalid config', () => {
    const piece = fc.constantFrom(
      'storage ',
      '"inmem" ',
      'listener ',
      '"tcp" ',
      '{',
      '}',
      '=',
      'true',
      '"x"',
      '[',
      ']',
      'tls_disable',
      '\n',
      'seal ',
      '"static" ',
      'audit ',
      '"file" ',
      '"a" ',
      'options',
      'miss_limit',
      '1',
      ',',
      '__proto__',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        mistake(base + pieces.join(''))
      }),
      fuzz(1000),
    )
  })
})

describe('loadServerConfig', () => {
  it('reads a file and names one that is not there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-config-'))
    try {
      const path = join(folder, 'p.hcl')
      await writeFile(path, `${base}ui = true`)
      const { config, warnings } = await loadServerConfig(path)
      assert.equal(config.storage.type, 'inmem')
      assert.deepEqual(warnings, [`${path}:3: "ui" has no effect here`])
      const missing = join(folder, 'no.hcl')
      await assert.rejects(loadServerConfig(missing), {
        message: `${missing}: can't be read: ENOENT`,
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
