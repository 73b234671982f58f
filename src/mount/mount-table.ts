/**
 * The mount table: every secrets engine and auth method with its path, as one entry of the configuration. Paths
 * never lie inside one another, so that the first match is the only one.
 */
import { uuid } from '../random.ts'
import { decodeRecord, encodeRecord } from '../storage/view.ts'

export const MOUNTS_KEY = 'cfg/mounts'

export interface MountConfig {
  /** Seconds; 0 = the system's. */
  readonly defaultLeaseTtl: number
  readonly maxLeaseTtl: number
  readonly forceNoCache: boolean
  readonly listingVisibility?: string
  readonly auditNonHmacRequestKeys?: readonly string[]
  readonly auditNonHmacResponseKeys?: readonly string[]
  readonly passthroughRequestHeaders?: readonly string[]
  readonly allowedResponseHeaders?: readonly string[]
  /** Auth methods only. */
  readonly tokenType?: string
}

export interface Mount {
  /** With its final slash; those of auth methods begin with `auth/`. */
  readonly path: string
  readonly class: 'secret' | 'auth'
  readonly type: string
  readonly uuid: string
  readonly accessor: string
  readonly description: string
  readonly options: Readonly<Record<string, string>> | null
  readonly config: MountConfig
  readonly local: boolean
  readonly sealWrap: boolean
  readonly externalEntropyAccess: boolean
  /** Being unmounted: its leases are ending, and it answers nothing any more. */
  readonly unmounting?: boolean
  /** Where it lay before, as long as leases of it may be left there: they are named after that path. */
  readonly formerPaths?: readonly string[]
}

export const defaultMountConfig: MountConfig = {
  defaultLeaseTtl: 0,
  maxLeaseTtl: 0,
  forceNoCache: false,
}

/** Mounts that are always there; they can't be moved or disabled. */
export function builtinMounts(): Mount[] {
  return [
    newMount('secret', 'cubbyhole/', 'cubbyhole', 'per-token private secret storage', {
      local: true,
    }),
    newMount(
      'secret',
      'sys/',
      'system',
      'system endpoints used for control, policy and debugging',
      {
        config: { ...defaultMountConfig, passthroughRequestHeaders: ['Accept'] },
      },
    ),
    newMount('auth', 'auth/token/', 'token', 'token based credentials', {
      config: { ...defaultMountConfig, tokenType: 'default-service' },
    }),
  ]
}

export function newMount(
  mountClass: Mount['class'],
  path: string,
  type: string,
  description: string,
  rest: Partial<
    Pick<Mount, 'options' | 'config' | 'local' | 'sealWrap' | 'externalEntropyAccess'>
  > = {},
): Mount {
  return {
    path,
    class: mountClass,
    type,
    uuid: uuid(),
    accessor: `${mountClass === 'auth' ? 'auth_' : ''}${type}_${uuid().slice(0, 8)}`,
    description,
    options: null,
    config: defaultMountConfig,
    local: false,
    sealWrap: false,
    externalEntropyAccess: false,
    ...rest,
  }
}

/** Mounts by path, with the one that a request path belongs to. */
export class MountTable {
  readonly #byPath: ReadonlyMap<string, Mount>
  readonly #longest: number

  constructor(mounts: readonly Mount[]) {
    this.#byPath = new Map(mounts.map((mount) => [mount.path, mount]))
    this.#longest = Math.max(0, ...mounts.map((mount) => mount.path.length))
  }

  static decode(value: Uint8Array): MountTable {
    return new MountTable(decodeRecord<Mount[]>(value))
  }

  encode(): Uint8Array {
    return encodeRecord(this.all())
  }

  all(): Mount[] {
    return [...this.#byPath.values()]
  }

  /** Secrets engines or auth methods, by path. */
  ofClass(mountClass: Mount['class']): Mount[] {
    return this.all()
      .filter((mount) => mount.class === mountClass)
      .sort((one, other) => (one.path < other.path ? -1 : 1))
  }

  get(path: string): Mount | undefined {
    return this.#byPath.get(path)
  }

  byUuid(id: string): Mount | undefined {
    return this.all().find((mount) => mount.uuid === id)
  }

  /** The mount whose path begins this one, and what is left of it: `ssh` alone is the root of `ssh/`. */
  route(path: string): { mount: Mount; rest: string } | undefined {
    // No further than a mount can lie: a path of nothing but slashes would be looked up from each of them.
    const start = path.slice(0, this.#longest)
    for (let slash = start.indexOf('/'); slash >= 0; slash = start.indexOf('/', slash + 1)) {
      const mount = this.#byPath.get(path.slice(0, slash + 1))
      if (mount) return { mount, rest: path.slice(slash + 1) }
    }
    const mount = this.#byPath.get(`${path}/`)
    return mount && { mount, rest: '' }
  }

  /** The path in use that this one would lie in, hold or be, if any. */
  conflict(path: string): string | undefined {
    return this.all().find((mount) => mount.path.startsWith(path) || path.startsWith(mount.path))
      ?.path
  }

  with(mount: Mount): MountTable {
    return new MountTable([...this.all().filter((other) => other.uuid !== mount.uuid), mount])
  }

  without(path: string): MountTable {
    return new MountTable(this.all().filter((mount) => mount.path !== path))
  }
}
