/** docs/api.md: every path of every backend, from its declaration. */
import { Core } from '../src/core/core.ts'
import type { Field } from '../src/mount/field.ts'
import type { Operation } from '../src/mount/operation.ts'
import type { Backend, Path } from '../src/mount/path.ts'
import { openSqliteStore } from '../src/storage/sqlite/sqlite.ts'
import { RecordingAudit } from '../test/support/core.ts'

const methods: Record<Operation, string> = {
  read: '`GET`',
  list: '`LIST`',
  scan: '`SCAN`',
  create: '`POST`',
  update: '`POST`',
  patch: '`PATCH`',
  delete: '`DELETE`',
  help: '`GET ?help=1`',
}

/** Where a backend is mounted on a new server; an engine wherever it was mounted, by custom at its type. */
const places = new Map([
  ['system', 'sys/'],
  ['token', 'auth/token/'],
])

const backends = await declaredBackends()

export function apiPage(): string {
  return `<!-- Generated from the path declarations by npm run docs. -->
# API

Every path that this version serves, below \`/v1/\`. \`:name\` stands for one part of the path, \`:name*\` for all that is left, and
what is in parentheses may be left out. \`PUT\` is the same as \`POST\`, and \`GET\` with \`?list=true\` the same as \`LIST\`. Any path tells this about itself with
\`?help=1\`; \`GET /v1/sys/internal/specs/openapi\` has all of it for programs.

A token comes in \`X-Vault-Token\`, and its policies have to allow the operation: \`GET\` is \`read\`, \`POST\` is \`update\` (\`create\` where the path says so and the thing is not there).
Fields of other types are converted: durations are seconds or text such as \`90s\` and \`1h30m\`, lists may be text with commas. Unknown fields are ignored, with a warning.

${backends.map(contentsLine).join('\n')}

${backends.map(backendSection).join('\n')}`
}

/** Sealed and without a mount: declarations need neither. */
async function declaredBackends(): Promise<readonly Backend[]> {
  const store = await openSqliteStore({ path: ':memory:' })
  const core = new Core({
    store,
    storageType: 'inmem',
    seal: { type: 'shamir' },
    clock: { now: () => 0 },
    log: { error: () => {}, warn: () => {}, info: () => {} },
    audit: new RecordingAudit(),
    auditDevices: [],
    systemTtl: { defaultSeconds: 0, maxSeconds: 0 },
    missLimit: { ratePerSecond: 1, burst: 1 },
    version: '',
    clusterName: undefined,
    apiAddress: '',
    isDev: false,
    allowCompat2015: false,
    allowInstallScripts: false,
  })
  await store.close()
  return core.backends
}

function placeOf({ type }: Backend): string {
  return places.get(type) ?? `${type}/`
}

function contentsLine(backend: Backend): string {
  const place = placeOf(backend)
  return `- [\`${place}\`](#${place.replaceAll('/', '')}): ${backend.description}`
}

function backendSection(backend: Backend): string {
  const place = placeOf(backend)
  const sections = backend.paths.map((path) => pathSection(place, path))
  return `## \`${place}\`\n\n${backend.description}\n\n${sections.join('\n')}`
}

function pathSection(place: string, path: Path): string {
  const lines = [`### \`${place}${path.pattern}\``, '', `${path.synopsis} ${path.description}`, '']
  lines.push(`${methodsOf(path)}. ${accessOf(path)}`, '')
  const rows = Object.entries(path.fields).map(([name, field]) => fieldRow(name, field))
  if (rows.length > 0) {
    lines.push('| Field | Type | Default | |', '|---|---|---|---|', ...rows, '')
  }
  return lines.join('\n')
}

function methodsOf({ operations, exists }: Path): string {
  const names = Object.keys(operations) as Operation[]
  const shown = [...new Set(names.map((name) => methods[name]))].join(', ')
  return exists ? `${shown} (a write is judged as \`create\` or \`update\`)` : shown
}

function accessOf({ auth, sudo, whileSealed }: Path): string {
  const token = {
    none: 'Needs no token',
    optional: 'Works without a token, and shows more with one',
    'if-sent': 'Needs no token; the policies of one that is sent decide',
    required: 'Needs a token',
  }[auth ?? 'required']
  const capability =
    sudo === undefined
      ? ''
      : sudo === 'all'
        ? ', with `sudo`'
        : `, with \`sudo\` for ${sudo.map((name) => methods[name]).join(', ')}`
  return `${token}${capability}.${whileSealed ? ' Answers while the server is sealed.' : ''}`
}

function fieldRow(name: string, { type, default: standard, description }: Field): string {
  const shown = standard === undefined ? '' : `\`${JSON.stringify(standard)}\``
  return `| \`${name}\` | ${type} | ${cell(shown)} | ${cell(description)} |`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
