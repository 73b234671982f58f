/** The flags that every command takes (contract 8.1); each wins over its variable of the environment. */
import type { Flag } from './command.ts'
import { textFlag } from './flag.ts'

export const commonFlags: readonly Flag[] = [
  textFlag('address', 'url', 'Address of the server: http://, https:// or unix:// (POSTERN_ADDR).'),
  textFlag('agent-address', 'url', 'Address of an agent; wins over -address (POSTERN_AGENT_ADDR).'),
  textFlag(
    'ca-cert',
    'file',
    'PEM file of the CA that the server is checked against (POSTERN_CACERT).',
  ),
  textFlag('ca-path', 'folder', 'Folder of such files (POSTERN_CAPATH).'),
  textFlag('client-cert', 'file', 'PEM file of an own certificate for TLS (POSTERN_CLIENT_CERT).'),
  textFlag('client-key', 'file', 'PEM file of its private key (POSTERN_CLIENT_KEY).'),
  textFlag(
    'tls-server-name',
    'name',
    "Name expected in the server's certificate (POSTERN_TLS_SERVER_NAME).",
  ),
  {
    name: 'tls-skip-verify',
    kind: 'bool',
    help: "Accepts every server's certificate: unsafe (POSTERN_SKIP_VERIFY).",
  },
  {
    name: 'namespace',
    kind: 'text',
    value: 'name',
    aliases: ['ns'],
    help: 'Namespace; Postern has the root one only (POSTERN_NAMESPACE).',
  },
  {
    name: 'disable-redirects',
    kind: 'bool',
    help: 'Follows no redirect (POSTERN_DISABLE_REDIRECTS).',
  },
  textFlag('format', 'table|json|yaml|raw', 'Form of the output (POSTERN_FORMAT).'),
  {
    name: 'output-curl-string',
    kind: 'bool',
    help: 'Prints the first request as a curl command, and sends nothing.',
  },
]

export const fieldFlag: Flag = textFlag(
  'field',
  'name',
  'Prints the bare value of this field only.',
)

export const wrapFlag: Flag = textFlag(
  'wrap-ttl',
  'duration',
  'Has the response wrapped in a token that lives this long (POSTERN_WRAP_TTL).',
)
