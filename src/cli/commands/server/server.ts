/** `server`: its declaration; the server's own code is loaded only when it runs. */
import type { LocalCommand } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'

export const server: LocalCommand = {
  isLocal: true,
  args: [],
  flags: [
    textFlag('config', 'file', "The server's config, HCL or JSON."),
    {
      name: 'dev',
      kind: 'bool',
      help: 'A server for trying things out: in memory, unsealed, gone when it stops.',
    },
    textFlag('dev-root-token-id', 'id', 'Text of its root token (POSTERN_DEV_ROOT_TOKEN_ID).'),
    textFlag(
      'dev-listen-address',
      'host:port',
      'Where it listens; 127.0.0.1:8200 when absent (POSTERN_DEV_LISTEN_ADDRESS).',
    ),
    { name: 'dev-tls', kind: 'bool', help: 'TLS with a certificate made for it.' },
    {
      name: 'dev-no-store-token',
      kind: 'bool',
      help: 'Accepted for compatibility: the token is stored in no case.',
    },
    textFlag('log-level', 'trace|debug|info|warn|error', "Instead of the config's."),
    textFlag('log-format', 'standard|json', "Instead of the config's."),
  ],
  description:
    'Runs until SIGINT or SIGTERM; SIGHUP opens certificates and audit files anew.\n' +
    'Exit status: 0 ended in order, 1 not started.',
  examples: [
    'postern server -config=/etc/postern/postern.hcl',
    'postern server -dev -dev-root-token-id=root',
  ],
  async run(input) {
    return await (await import('./run-server.ts')).runServer(input)
  },
}
