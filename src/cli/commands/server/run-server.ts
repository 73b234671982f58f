/** `postern server`: the server in this process, until a signal ends it. */
import { rmSync, writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { PosternError } from '../../../errors.ts'
import {
  createServer,
  loadServerConfig,
  type PosternServer,
  type ServerConfig,
  version,
} from '../../../index.ts'
import type { Input } from '../../declaration/command.ts'
import { Failure, usageFailure } from '../../failure.ts'

const SAME_SIGNAL_MS = 1000

interface Flags {
  readonly config: string | undefined
  readonly dev: boolean
  readonly rootTokenId: string | undefined
  readonly listenAddress: string
  readonly devTls: boolean
  readonly logLevel: string | undefined
  readonly logFormat: string | undefined
}

/** Runs a server until SIGINT or SIGTERM. Gives the exit status. */
export async function runServer(input: Input): Promise<number> {
  try {
    const flags = flagsOf(input)
    refuseDebugging(flags.dev)
    keepHeapSmall()
    const { config, warnings } = await configOf(flags)
    const server = await createServer({
      config,
      ...(flags.dev ? { dev: { rootTokenId: flags.rootTokenId } } : {}),
    })
    for (const warning of warnings) server.log.warn({}, warning)
    const ended = untilSignal(server, config.pidFile)
    // Who waits for the address may read the process id and send signals from then on.
    announce(server, flags.dev)
    return await ended
  } catch (error) {
    if (!(error instanceof PosternError)) throw error
    const cause =
      error.cause instanceof Error && !error.message.includes(error.cause.message)
        ? `: ${error.cause.message}`
        : ''
    throw new Failure(`postern: ${error.message}${cause}`)
  }
}

function flagsOf(input: Input): Flags {
  const devTls = input.bool('dev-tls') === true
  const dev = devTls || input.bool('dev') === true
  const [config, rootTokenId] = [input.text('config'), input.text('dev-root-token-id')]
  if (!dev && config === undefined) throw usage('no config: give -config=FILE, or -dev')
  if (dev && config !== undefined) throw usage('-dev and -config do not go together')
  return {
    dev,
    devTls,
    config,
    rootTokenId: rootTokenId ?? familyVariable('DEV_ROOT_TOKEN_ID'),
    listenAddress:
      input.text('dev-listen-address') ?? familyVariable('DEV_LISTEN_ADDRESS') ?? '127.0.0.1:8200',
    logLevel: input.text('log-level'),
    logFormat: input.text('log-format'),
  }
}

function usage(text: string): Failure {
  return usageFailure(text, 'postern help server')
}

function familyVariable(name: string): string | undefined {
  return ['POSTERN', 'BAO', 'VAULT']
    .map((prefix) => process.env[`${prefix}_${name}`])
    .find((value) => value)
}

/** V8 lets the heap grow to four times what lives in it: 14 MB become 60 under load, to save some collections. */
function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=60')
}

/** A debugger or a heap snapshot would hand out every key (protocols 6.1). */
function refuseDebugging(isDev: boolean): void {
  if (process.report) process.report.excludeEnv = true
  if (isDev) return
  const flag = process.execArgv.find((argument) =>
    /^--(inspect|heapsnapshot|heap-prof|cpu-prof|tls-keylog|trace-tls)/.test(argument),
  )
  if (flag !== undefined)
    throw usageFailure(`node was started with ${flag}, which would expose keys`)
  if (process.env['NODE_OPTIONS']) {
    throw usageFailure('NODE_OPTIONS is set: unset it, since it can expose keys')
  }
}

async function configOf(
  flags: Flags,
): Promise<{ config: ServerConfig; warnings: readonly string[] }> {
  const { parseServerConfig } = await import('../../../config/parse.ts')
  const overrides = {
    ...(flags.logLevel === undefined
      ? {}
      : { logLevel: flags.logLevel as ServerConfig['logLevel'] }),
    ...(flags.logFormat === undefined
      ? {}
      : { logFormat: flags.logFormat as ServerConfig['logFormat'] }),
  }
  if (flags.config !== undefined) {
    const { config, warnings } = await loadServerConfig(flags.config)
    return { config: { ...config, ...overrides }, warnings }
  }
  const tls = flags.devTls
    ? await (await import('./dev-tls.ts')).devTlsLines(flags.listenAddress)
    : 'tls_disable = true'
  const text = `storage "inmem" {}
listener "tcp" {
  address = ${JSON.stringify(flags.listenAddress)}
  ${tls}
  telemetry { unauthenticated_metrics_access = true }
}
log_level = "warn"
`
  const { config } = parseServerConfig(text, '-dev')
  return { config: { ...config, ...overrides }, warnings: [] }
}

function announce(server: PosternServer, isDev: boolean): void {
  const print = (text: string) => process.stdout.write(`${text}\n`)
  print(`Postern ${version}`)
  for (const address of server.addresses) print(`API address: ${urlOf(address)}`)
  const { dev } = server
  if (!isDev || !dev) return
  print(`Unseal Key: ${dev.unsealKey}`)
  print(`Root Token: ${dev.rootToken}`)
  print(`
A dev server: all is in memory, unsealed, and gone when it stops. In another terminal:

  export POSTERN_ADDR=${urlOf(server.addresses[0] as PosternServer['addresses'][number])} POSTERN_TOKEN=${dev.rootToken}

  npx postern secrets enable ssh && npx postern write ssh/config/ca key_type=ed25519
  echo '{"key_type":"ca","allow_user_certificates":true,"allowed_users":"*","default_extensions":{"permit-pty":""},"ttl":"1h"}' | npx postern write ssh/roles/me -
  npx postern write -field=signed_key ssh/sign/me valid_principals=$USER public_key=@$HOME/.ssh/id_ed25519.pub > ~/.ssh/id_ed25519-cert.pub
`)
}

function urlOf(address: PosternServer['addresses'][number]): string {
  if (address.kind === 'unix') return `unix://${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${address.tls ? 'https' : 'http'}://${host}:${address.port}`
}

/** Ends the server in order at the first signal; a second one ends the process at once. */
function untilSignal(server: PosternServer, pidFile: string | undefined): Promise<number> {
  if (pidFile !== undefined) writeFileSync(pidFile, `${process.pid}\n`)
  return new Promise((resolve) => {
    let closingSince: number | undefined
    const close = () => {
      if (closingSince !== undefined) {
        // A signal to the whole process group comes twice where a launcher passes it on.
        if (Date.now() - closingSince > SAME_SIGNAL_MS) process.exit(1)
        return
      }
      closingSince = Date.now()
      server
        .close()
        .catch((error: unknown) =>
          server.log.error({ err: error }, 'the server did not close in order'),
        )
        .finally(() => {
          if (pidFile !== undefined) rmSync(pidFile, { force: true })
          resolve(0)
        })
    }
    process.on('SIGINT', close)
    process.on('SIGTERM', close)
    process.on('SIGHUP', () => {
      server.reload().then(
        () => server.log.info({}, 'certificates and audit files were opened anew'),
        (error: unknown) =>
          server.log.error({ err: error }, 'reload failed; what was open stays in use'),
      )
    })
  })
}
