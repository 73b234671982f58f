/** From what is known of a request to the JSON text of an audit line (contract 10.3). */
import { rfc3339 } from '../clock.ts'
import type { Hasher } from './hash.ts'
import { type HashedData, hashRequestData, hashResponseData } from './hashed-data.ts'
import { hideInText, hidePathParts, isDoubtfulName } from './hidden.ts'
import type { LineFormat } from './options.ts'
import type { AuditedMount, AuditedRequest, AuditedResponse, AuditRecord } from './record.ts'

export type LineType = 'request' | 'response'

/** Request headers that lines show, by lower-case name. */
export type ShownHeaders = ReadonlyMap<string, { readonly hmac: boolean }>

const ROOT_NAMESPACE = ',"namespace":{"id":"root"}'
const WRITES: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete'])

/** Shorter parts of a path are found in the middle of ordinary words. */
const MIN_HIDDEN = 8

type Hash = (text: string) => string

interface ShownData {
  readonly declared: ReadonlySet<string>
  readonly plainKeys: readonly string[]
  readonly shown: HashedData
}

/** Parts of a line as JSON text, and what they were made from. */
interface ShownRequest {
  readonly caller: AuditRecord['caller']
  readonly policyResults: AuditRecord['policyResults'] | undefined
  readonly auth: string
  readonly shown: string
  readonly headers: ShownHeaders
  readonly showsAccessor: boolean
}

/** What every line of a token shows alike, as JSON text. */
interface ShownCaller {
  readonly token: string
  readonly accessor: string
  /** Members of `auth` before and after the results of the policies. */
  readonly before: string
  readonly after: string
}

const plain: Hash = (text) => text

/** Request lines name the mount's accessor for writes that were let through alone. */
function knowsAccessor(type: LineType, { request, policyResults, error }: AuditRecord): boolean {
  if (type === 'response') return true
  return WRITES.has(request.operation) && policyResults?.allowed !== false && error === undefined
}

/** Writes the lines of one device. Undefined members, which JSON leaves out, are the empty ones. */
export class LineEncoder {
  readonly #format: LineFormat
  readonly #secret: Hash
  readonly #accessor: Hash
  /** Both lines of a request show the same data: it is hashed once, and forgotten with the request. */
  readonly #requestDataShown = new WeakMap<object, ShownData>()
  readonly #requestShown = new WeakMap<AuditedRequest, ShownRequest>()
  readonly #mounts = new WeakMap<AuditedMount, { withAccessor: string; without: string }>()
  /** By the token's record, as long as it is in memory: docs/decisions/0014 says why this is no breach of protocols 2.3. */
  readonly #callers = new WeakMap<object, ShownCaller>()

  constructor(format: LineFormat, hasher: Hasher) {
    this.#format = format
    this.#secret = format.logRaw ? plain : (text) => hasher.hash(text)
    this.#accessor =
      format.logRaw || !format.hmacAccessor ? plain : (text) => hasher.remembered(text)
  }

  /** One line without its newline. `time` is in milliseconds since the epoch. */
  encode(type: LineType, time: number, record: AuditRecord, headers: ShownHeaders): string {
    const { request, response, error } = record
    const { auth, shown } = this.#requestTexts(type, record, headers)
    const failure = error ? `,"error":${JSON.stringify(this.#sentence(error, request))}` : ''
    const head = `{"time":"${rfc3339(time)}","type":"${type}"${failure},"auth":${auth},"request":${shown}`
    if (type === 'request') return `${head}}`
    return `${head},"response":${this.#response(response ?? {}, request)}}`
  }

  /** The parts that both lines of a request share: mostly the second line finds them made. */
  #requestTexts(
    type: LineType,
    record: AuditRecord,
    headers: ShownHeaders,
  ): { readonly auth: string; readonly shown: string } {
    const { request, caller, policyResults } = record
    const showsAccessor = knowsAccessor(type, record)
    const known = this.#requestShown.get(request)
    const isSame =
      known !== undefined &&
      known.caller === caller &&
      known.policyResults === policyResults &&
      known.headers === headers
    if (isSame && known.showsAccessor === showsAccessor) return known
    const shownCaller = this.#shownCaller(record)
    const auth = isSame ? known.auth : authText(record, shownCaller)
    const shown = this.#request(record, shownCaller, headers, showsAccessor)
    const made = { auth, shown, caller, policyResults, headers, showsAccessor }
    this.#requestShown.set(request, made)
    return made
  }

  #shownCaller({ request, caller }: AuditRecord): ShownCaller {
    const known = caller?.record && this.#callers.get(caller.record)
    if (known) return known
    const token = hashed(request.token, this.#secret)
    const accessor = hashed(caller?.accessor, this.#accessor)
    const shown: ShownCaller = {
      token: member('client_token', token),
      accessor: member('client_token_accessor', accessor),
      before:
        caller === undefined
          ? ''
          : member('client_token', token) +
            member('accessor', accessor) +
            member('display_name', caller.displayName || undefined) +
            member('policies', filled(caller.policies)) +
            member('token_policies', filled(caller.policies)),
      after:
        caller === undefined
          ? member('token_type', 'default')
          : member('metadata', this.#metadata(caller.metadata)) +
            member('entity_id', caller.entityId || undefined) +
            member('num_uses', caller.numUses || undefined) +
            member('remaining_uses', caller.remainingUses || undefined) +
            member('token_type', caller.tokenType) +
            member('token_issue_time', `${rfc3339(caller.tokenIssuedAt).slice(0, 19)}Z`),
    }
    if (caller?.record) this.#callers.set(caller.record, shown)
    return shown
  }

  #request(
    { request, caller }: AuditRecord,
    { token, accessor }: ShownCaller,
    headers: ShownHeaders,
    showsAccessor: boolean,
  ): string {
    const { mount } = request
    return objectOf(
      member('id', request.id || undefined) +
        member('client_id', caller?.entityId || undefined) +
        member('operation', request.operation) +
        this.#mount(mount, showsAccessor) +
        token +
        accessor +
        ROOT_NAMESPACE +
        member('path', this.#path(request.path, request)) +
        member('data', this.#requestData(request)) +
        member('remote_address', request.remoteAddress || undefined) +
        member('remote_port', request.remotePort || undefined) +
        member('wrap_ttl', request.wrapTtlSeconds || undefined) +
        (headers.size === 0 ? '' : member('headers', this.#headers(request, headers))) +
        member('client_certificate_serial_number', request.clientCertificateSerial) +
        member('host_id', request.hostId),
    )
  }

  #mount(mount: AuditedMount | undefined, showsAccessor: boolean): string {
    if (!mount) return ''
    let shown = this.#mounts.get(mount)
    if (!shown) {
      const accessor = member('mount_accessor', mount.accessor)
      const [before, after] = [
        member('mount_point', mount.path) + member('mount_type', mount.type),
        member('mount_class', mount.class),
      ]
      shown = { withAccessor: before + accessor + after, without: before + after }
      this.#mounts.set(mount, shown)
    }
    return showsAccessor ? shown.withAccessor : shown.without
  }

  #requestData({ data, declared, mount }: AuditedRequest): object | undefined {
    if (data.size === 0) return undefined
    if (this.#format.logRaw) return rawData(data)
    const plainKeys = mount?.plainRequestKeys ?? []
    const known = this.#requestDataShown.get(data)
    if (known?.declared === declared && sameTexts(known.plainKeys, plainKeys)) return known.shown
    const shown = hashRequestData(data, declared, plainKeys, this.#secret)
    this.#requestDataShown.set(data, { declared, plainKeys, shown })
    return shown
  }

  #headers(request: AuditedRequest, headers: ShownHeaders): object | undefined {
    const shown: Record<string, string[]> = Object.create(null)
    for (const [name, { hmac }] of headers) {
      const value = request.headers.get(name)
      if (value !== undefined) shown[name] = [hmac ? this.#secret(value) : value]
    }
    return members(shown)
  }

  #response(response: AuditedResponse, request: AuditedRequest): string {
    const { auth, leaseId, wrapInfo } = response
    const { mount } = request
    return objectOf(
      this.#mount(mount, true) +
        member('auth', auth && this.#issuedToken(auth)) +
        member('secret', leaseId ? { lease_id: leaseId } : undefined) +
        member('data', this.#responseData(response, request.operation, mount)) +
        member(
          'warnings',
          filled(response.warnings?.map((text) => this.#sentence(text, request))),
        ) +
        member('wrap_info', wrapInfo && this.#wrapInfo(wrapInfo, request)),
    )
  }

  #wrapInfo(info: NonNullable<AuditedResponse['wrapInfo']>, request: AuditedRequest): object {
    return {
      ttl: info.ttl,
      token: this.#secret(info.token),
      accessor: hashed(info.accessor, this.#accessor),
      creation_time: info.creationTime,
      creation_path: this.#path(info.creationPath, request),
      wrapped_accessor: hashed(info.wrappedAccessor, this.#accessor),
    }
  }

  #issuedToken(auth: NonNullable<AuditedResponse['auth']>): object {
    return {
      client_token: hashed(auth.clientToken, this.#secret),
      accessor: hashed(auth.accessor, this.#accessor),
      display_name: auth.displayName || undefined,
      policies: filled(auth.policies),
      token_policies: filled(auth.policies),
      token_type: auth.tokenType,
      token_ttl: auth.tokenTtlSeconds || undefined,
      metadata: this.#metadata(auth.metadata),
      num_uses: auth.numUses || undefined,
      entity_id: auth.entityId || undefined,
    }
  }

  #responseData(
    { data, raw }: AuditedResponse,
    operation: string,
    mount: AuditedMount | undefined,
  ): object | undefined {
    const plainKeys = mount?.plainResponseKeys ?? []
    if (raw) {
      const isPlain = plainKeys.includes('http_raw_body')
      return {
        http_content_type: raw.contentType,
        http_raw_body: isPlain ? raw.body : this.#secret(raw.body),
        http_status_code: raw.status,
      }
    }
    if (!data) return undefined
    const isElided = this.#format.elideListResponses && operation === 'list'
    const shown = isElided ? withCounts(data) : data
    if (this.#format.logRaw) return members(shown)
    return members(hashResponseData(shown, plainKeys, this.#secret))
  }

  /** Shown plain; a name that looks like a secret is one in the wrong place (protocols 2.4). */
  #metadata(metadata: Readonly<Record<string, string>> | undefined): object | undefined {
    if (!metadata || this.#format.logRaw) return members(metadata)
    const shown: Record<string, string> = Object.create(null)
    for (const [name, value] of Object.entries(metadata)) {
      shown[isDoubtfulName(name) ? this.#secret(name) : name] = value
    }
    return members(shown)
  }

  #path(path: string, { secretParts }: AuditedRequest): string {
    return this.#format.logRaw ? path : hidePathParts(path, secretParts, this.#secret)
  }

  /** Errors and warnings may name what the caller sent: path parts, and fields that nobody declared. */
  #sentence(text: string, { secretParts, data, declared }: AuditedRequest): string {
    if (this.#format.logRaw) return text
    const names = [...data.keys()].filter((name) => !declared.has(name) && isDoubtfulName(name))
    const parts = secretParts.filter((part) => part.length >= MIN_HIDDEN)
    return hideInText(text, [...names, ...parts], this.#secret)
  }
}

/** The text of `auth`: what changes from request to request stands between what does not. */
function authText({ caller, policyResults }: AuditRecord, { before, after }: ShownCaller): string {
  const ttl = member('token_ttl', caller?.tokenTtlSeconds || undefined)
  return objectOf(before + policyText(policyResults) + after + ttl)
}

function policyText(results: AuditRecord['policyResults']): string {
  if (!results) return ''
  const granting = results.grantingPolicies.map(
    (name) => `{"name":${JSON.stringify(name)},"namespace_id":"root","type":"acl"}`,
  )
  const list = granting.length === 0 ? '' : `,"granting_policies":[${granting.join(',')}]`
  return `,"policy_results":{"allowed":${results.allowed}${list}}`
}

/** One member of an object's text, with the comma before it; nothing for an undefined value. */
function member(name: string, value: unknown): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`
}

function objectOf(membersText: string): string {
  return `{${membersText.slice(1)}}`
}

function hashed(text: string | undefined, hash: Hash): string | undefined {
  return text ? hash(text) : undefined
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index])
}

function filled<Item>(list: readonly Item[] | undefined): readonly Item[] | undefined {
  return list && list.length > 0 ? list : undefined
}

function members<Members extends object>(object: Members | undefined): Members | undefined {
  return object && Object.keys(object).length > 0 ? object : undefined
}

function rawData(data: ReadonlyMap<string, unknown>): HashedData {
  const shown: HashedData = Object.create(null)
  for (const [name, value] of data) shown[name] = value
  return shown
}

function withCounts(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { keys, key_info: info } = data
  return {
    ...data,
    ...(Array.isArray(keys) ? { keys: keys.length } : {}),
    ...(info !== null && typeof info === 'object' ? { key_info: Object.keys(info).length } : {}),
  }
}
