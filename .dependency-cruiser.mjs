/**
 * Who may import whom (docs/architecture.md, layers). A folder that is not listed may import nothing
 * of ours, so that a new folder has to say where it belongs.
 */
const root0 = ['src/(errors|clock|random|duration|redact|node-http|keyed-hash)[.]ts']
const typesOnly = { dependencyTypesNot: ['type-only'] }

/** Folder, what of ours it may import beside itself, and what it may import for its types alone. */
const layers = [
  {
    name: 'root-helpers',
    from: '^src/(errors|clock|random|duration|redact|node-http|keyed-hash)[.]ts$',
    may: [],
  },
  { name: 'ssh', from: '^src/ssh/', may: [] },
  { name: 'storage', from: '^src/storage/', may: [] },
  { name: 'seal', from: '^src/seal/', may: ['src/storage/(store|path)[.]ts'] },
  { name: 'hcl', from: '^src/hcl/', may: [] },
  { name: 'config', from: '^src/config/', may: ['src/hcl/'] },
  { name: 'policy', from: '^src/policy/', may: ['src/hcl/'] },
  { name: 'remote', from: '^src/remote/', may: [] },
  ...['token', 'lease', 'audit', 'mount'].map((folder) => ({
    name: folder,
    from: `^src/${folder}/`,
    may: ['src/storage/(store|path|view)[.]ts', 'src/policy/'],
    mayType: ['src/(token|lease|audit|mount)/'],
  })),
  ...['cubbyhole', 'ssh'].map((engine) => ({
    name: `engine-${engine}`,
    from: `^src/engine/${engine}/`,
    own: `src/engine/${engine}/`,
    may: ['src/ssh/', 'src/storage/(store|path|view)[.]ts', 'src/(token|lease|audit|mount)/'],
  })),
  {
    name: 'auth',
    from: '^src/auth/',
    may: [
      'src/(ssh|policy)/',
      'src/storage/(store|path|view)[.]ts',
      'src/(token|lease|audit|mount)/',
    ],
  },
  {
    name: 'sys',
    from: '^src/sys/',
    may: [
      'src/(ssh|policy|seal)/',
      'src/storage/(store|path|view)[.]ts',
      'src/(token|lease|audit|mount)/',
    ],
  },
  {
    name: 'core',
    from: '^src/core/',
    may: [
      'src/(ssh|storage|seal|hcl|config|policy|remote|token|lease|audit|mount|engine|auth|sys)/',
    ],
  },
  {
    name: 'http',
    from: '^src/http/',
    // The one canonical path is made here and judged everywhere else.
    may: ['src/core/', 'src/mount/canonical[.]ts'],
    mayType: ['src/mount/'],
  },
  { name: 'index', from: '^src/index[.]ts$', may: ['src/(core|http|config|storage|seal|audit)/'] },
  { name: 'client', from: '^src/client/', may: [] },
  {
    name: 'cli',
    from: '^src/cli/(?!commands/((server/run-server|operator/backup)[.]ts$|host/))',
    own: 'src/cli/',
    may: ['src/(client|ssh|hcl)/'],
  },
  {
    name: 'cli-server',
    from: '^src/cli/commands/(server/run-server|operator/backup)[.]ts$',
    own: 'src/cli/',
    may: ['src/(client|ssh|hcl|config)/', 'src/index[.]ts'],
  },
  {
    name: 'cli-host',
    from: '^src/cli/commands/host/',
    own: 'src/cli/',
    may: ['src/(client|ssh|hcl|host)/'],
  },
  { name: 'host', from: '^src/host/', may: ['src/(client|ssh|hcl)/'] },
]

const anyOf = (patterns) => `^(${patterns.join('|')})`

const layerRules = layers.flatMap(({ name, from, own, may, mayType = [] }) => {
  const itself = own ?? from.replace(/^\^/, '').replace(/\$$/, '')
  const allowed = [...root0, itself, ...may]
  const rules = [
    {
      name: `layer-${name}`,
      severity: 'error',
      from: { path: from },
      to: { path: '^src/', pathNot: anyOf([...allowed, ...mayType]) },
    },
  ]
  if (mayType.length > 0) {
    rules.push({
      name: `layer-${name}-types-only`,
      severity: 'error',
      from: { path: from },
      to: { path: anyOf(mayType), pathNot: anyOf(allowed), ...typesOnly },
    })
  }
  return rules
})

export default {
  forbidden: [
    ...layerRules,
    {
      name: 'no-cycle',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unlisted-folder',
      comment: 'A new folder below src/ needs a row in the table above.',
      severity: 'error',
      from: { path: '^src/', pathNot: anyOf(layers.map(({ from }) => from.replace(/^\^/, ''))) },
      to: { path: '^src/' },
    },
    {
      name: 'wire-formats-are-pure',
      severity: 'error',
      from: { path: '^src/ssh/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer)$' },
    },
    {
      name: 'hcl-and-policy-are-pure',
      severity: 'error',
      from: { path: '^src/(hcl|policy)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'one-folder-names-a-driver',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/storage/(sqlite|postgres)/' },
      to: { path: '^(node:)?sqlite$|node_modules/pg/' },
    },
    {
      name: 'one-folder-names-the-ssh-client',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/remote/' },
      to: { path: 'node_modules/ssh2/' },
    },
    {
      name: 'sources-import-no-tests-or-tools',
      severity: 'error',
      from: { path: '^(src|bin)/' },
      to: { path: '^(test|tools|bench)/' },
    },
    {
      name: 'sources-import-no-development-package',
      severity: 'error',
      from: { path: '^(src|bin)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(bench/load|dist)/' },
    // TypeScript 7 has no parser that dependency-cruiser could load: without swc it sees no module.
    parser: 'swc',
    tsPreCompilationDeps: true,
    moduleSystems: ['es6'],
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs'],
      conditionNames: ['node', 'import'],
    },
  },
}
