/** `host setup` and `host leave`: this host takes certificates that are meant for it, and those alone; or no longer. */
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import path from 'node:path'
import { lookUpVariable } from '../../../client/environment.ts'
import type { JsonObject } from '../../../client/json.ts'
import { envelopeOf, texts } from '../../../client/reply.ts'
import { hostPaths } from '../../../host/paths.ts'
import { type Joined, joinServer } from '../../../host/setup/join.ts'
import { leaveHost } from '../../../host/setup/leave.ts'
import { type SetupRequest, setUpHost } from '../../../host/setup/setup.ts'
import type { Command } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { Failure, usageFailure } from '../../failure.ts'
import { say, warn } from '../../output/output.ts'
import type { Session } from '../../session.ts'
import { assertRoot, certifier, isServerNamed } from './certifier.ts'
import { hostPath, mountFlag, mountOf } from './host-path.ts'

type Scope = Pick<SetupRequest, 'hostId' | 'groups' | 'tags' | 'userCas'>

export const hostSetup: Command = {
  args: [],
  flags: [
    textFlag(
      'id',
      'id',
      "The host's id at the server; with -join-token the one it would like, its own name when absent.",
    ),
    textFlag(
      'join-token',
      '-',
      'Enrols the host with the token on standard input, for postern-host service.',
    ),
    textFlag(
      'server-key',
      'key',
      "The server's identity key, or its fingerprint: another server is refused.",
    ),
    {
      name: 'replace',
      kind: 'bool',
      help: 'Forgets the server at which the host was enrolled before.',
    },
    textFlag(
      'groups',
      'names',
      "The host's groups; what the server says when absent and there is a token.",
    ),
    textFlag('tags', 'key=value,…', "The host's tags; likewise."),
    textFlag(
      'ca-file',
      'file',
      'Public keys of the CAs to trust, instead of asking the server for those of its scoped issuers.',
    ),
    mountFlag,
    textFlag(
      'role',
      'name',
      'Has the test login use a certificate of the server under this role; a throw-away CA signs it when absent.',
    ),
    textFlag(
      'account',
      'name',
      'Who logs in for the test; the first account that can when absent.',
    ),
    {
      name: 'keep-authorized-keys',
      kind: 'bool',
      help: 'Leaves the authorized_keys of users in force.',
    },
  ],
  description:
    'Run as root on the host. Nothing is changed before a rehearsal with the new settings let a certificate for this host in and others not; everything is put back when a step fails or is cut off.',
  examples: [
    'postern host setup -id=web-1',
    'postern host setup -id=web-1 -role=ops -account=deploy',
  ],
  async run(session) {
    const { input } = session
    assertRoot()
    const joined = await joinedOf(session)
    const scope = joined ? scopeOfBundle(joined.bundle) : await scopeOf(session)
    const role = input.text('role')
    await setUpHost({
      ...scope,
      keepsAuthorizedKeys: input.bool('keep-authorized-keys') === true,
      account: input.text('account'),
      ...(role === undefined ? {} : { certify: certifier(session, role, scope.hostId) }),
      say: (line) => say(session, line),
    })
    await joined?.finish()
    say(session, `Success! This host is ${scope.hostId}.`)
    return 0
  },
}

export const hostLeave: Command = {
  args: [],
  flags: [],
  description:
    "Undoes postern host setup: sshd's configuration becomes what it was, then Postern's files on this host go. The server keeps its record of the host.",
  async run(session) {
    assertRoot()
    const hasLeft = await leaveHost((line) => say(session, line))
    say(session, hasLeft ? 'Success! This host is on its own.' : 'There was nothing to undo.')
    return 0
  },
}

/** Undefined for a host that is to have no agent. */
async function joinedOf(session: Session): Promise<Joined | undefined> {
  const { input, client, terminal } = session
  const token = input.text('join-token')
  if (token === undefined && (input.text('id') !== undefined || !existsSync(hostPaths.state)))
    return undefined
  if (token !== undefined && token !== '-') {
    throw usageFailure('-join-token=- takes the token from standard input, where nobody sees it')
  }
  const caFile = input.text('ca-cert') ?? lookUpVariable(terminal.environment, 'CACERT')?.value
  return await joinServer({
    address: client.base,
    isServerNamed: isServerNamed(session),
    mount: mountOf(session),
    caFile: caFile && path.resolve(caFile),
    joinToken: token && (await terminal.readInput()).trim(),
    name: input.text('id') ?? hostname(),
    serverKey: input.text('server-key'),
    replaces: input.bool('replace') === true,
    say: (line) => say(session, line),
  })
}

function scopeOfBundle({ hostId, groups, tags, userCas }: Joined['bundle']): Scope {
  return { hostId, groups, tags: tags.map(tagOf), userCas }
}

async function scopeOf(session: Session): Promise<Scope> {
  const { input, client, token } = session
  const hostId = input.text('id')
  if (hostId === undefined) throw usageFailure('-id is missing: which host is this?')
  const place = hostPath(session, hostId)
  const caFile = input.text('ca-file')
  const groups = input.text('groups')
  const tags = input.text('tags')
  const isAsked = caFile === undefined && groups === undefined && tags === undefined && token
  const record = isAsked ? await recordOf(session, place) : undefined
  if (caFile === undefined && client.base.startsWith('http:')) {
    warn(
      session,
      `the CA comes from ${client.base} without TLS: anybody in between could give another`,
    )
  }
  return {
    hostId,
    groups: record ? texts(record['groups']) : partsOf(groups),
    tags: (record ? texts(record['tags']) : partsOf(tags)).map(tagOf),
    userCas:
      caFile === undefined ? await scopedCas(session) : linesOf(readFileSync(caFile, 'utf8')),
  }
}

async function recordOf(session: Session, place: string): Promise<JsonObject> {
  const reply = await session.askMaybe('reading the host', 'GET', place)
  const data = reply && envelopeOf(reply)?.data
  if (data) return data
  throw new Failure(`postern: the server knows no such host: ${place}`, {
    status: 2,
    hint: `postern write -f ${place} makes it`,
  })
}

async function scopedCas(session: Session): Promise<string[]> {
  const query = new Map([['usage', ['scoped']]])
  const path = `${mountOf(session)}/public_key`
  const { text } = await session.ask("reading the issuers' keys", 'GET', path, { query })
  const lines = linesOf(text)
  if (lines.length > 0) return lines
  const hint = `postern write ${mountOf(session)}/config/hosts host_scope=true makes one`
  throw new Failure('postern: the mount has no scoped issuer', { status: 2, hint })
}

function tagOf(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 0) throw usageFailure(`a tag is key=value: ${text}`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function partsOf(list = ''): string[] {
  return list
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}
