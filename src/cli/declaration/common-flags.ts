/** The flags that every command takes (contract 8.1); each wins over its variable of the environment. */
import type { Flag } from './command.ts'

export const commonFlags: readonly Flag[] = [
  {
    name: 'address',
    kind: 'text',
    value: 'url',
    help: 'Address of the server: http://, https:// or unix:// (POSTERN_ADDR).',
  },
  {
    name: 'agent-address',
    kind: 'text',
    value: 'url',
    help: 'Address of an agent; wins over -address (POSTERN_AGENT_ADDR).',
  },
  {
    name: 'ca-cert',
    kind: 'text',
    value: 'file',
    help: 'PEM file of the CA that the server is checked against (POSTERN_CACERT).',
  },
  {
    name: 'ca-path',
    kind: 'text',
    value: 'folder',
    help: 'Folder of such files (POSTERN_CAPATH).',
  },
  {
    name: 'client-cert',
    kind: 'text',
    value: 'file',
    help: 'PEM file of an own certificate for TLS (POSTERN_CLIENT_CERT).',
  },
  {
    name: 'client-key',
    kind: 'text',
    value: 'file',
    help: 'PEM file of its private key (POSTERN_CLIENT_KEY).',
  },
  {
    name: 'tls-server-name',
    kind: 'text',
    value: 'name',
    help: "Name expected in the server's certificate (POSTERN_TLS_SERVER_NAME).",
  },
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
  {
    name: 'format',
    kind: 'text',
    value: 'table|json|yaml|raw',
    help: 'Form of the output (POSTERN_FORMAT).',
  },
  {
    name: 'output-curl-string',
    kind: 'bool',
    help: 'Prints the first request as a curl command, and sends nothing.',
  },
]

export const fieldFlag: Flag = {
  name: 'field',
  kind: 'text',
  value: 'name',
  help: 'Prints the bare value of this field only.',
}

export const wrapFlag: Flag = {
  name: 'wrap-ttl',
  kind: 'text',
  value: 'duration',
  help: 'Has the response wrapped in a token that lives this long (POSTERN_WRAP_TTL).',
}
