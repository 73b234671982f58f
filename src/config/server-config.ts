/** What the server's config file says, with every default filled in. Paths are as written. */

export interface ServerConfig {
  readonly storage: StorageConfig
  /** At least one. */
  readonly listeners: readonly ListenerConfig[]
  readonly seal: SealConfig
  readonly auditDevices: readonly AuditDeviceConfig[]
  /**
   * The folder under which the API may place audit files; without it the API may add no file
   * device.
   */
  readonly auditDir: string | undefined
  readonly allowCompat2015: boolean
  readonly allowInstallScripts: boolean
  /** Never above the maximum. */
  readonly defaultLeaseTtlSeconds: number
  readonly maxLeaseTtlSeconds: number
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly apiAddr: string | undefined
  readonly clusterName: string | undefined
  readonly pidFile: string | undefined
  readonly missLimit: MissLimit
}

export type StorageConfig =
  | { readonly type: 'sqlite'; readonly path: string }
  | { readonly type: 'inmem' }

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
export type LogFormat = 'standard' | 'json'

/** Failed attempts at an unauthenticated door (protocols 3.4). */
export interface MissLimit {
  readonly ratePerSecond: number
  readonly burst: number
}

export type ListenerConfig = TcpListenerConfig | UnixListenerConfig

interface CommonListenerConfig {
  readonly limits: ListenerLimits
  readonly unauthenticatedMetricsAccess: boolean
}

export interface ListenerLimits {
  readonly maxRequestBytes: number
  readonly maxRequestSeconds: number
  readonly readHeaderTimeoutSeconds: number
  /** For head and body together. */
  readonly readTimeoutSeconds: number
  readonly idleTimeoutSeconds: number
}

export interface TcpListenerConfig extends CommonListenerConfig {
  readonly type: 'tcp'
  /** As written. */
  readonly address: string
  /** Undefined for every address of the machine. */
  readonly host: string | undefined
  /** 0 lets the system choose. */
  readonly port: number
  /** Undefined for plain HTTP. */
  readonly tls: TlsConfig | undefined
  /** Undefined when no proxy is believed. */
  readonly forwarded: ForwardedConfig | undefined
}

export interface UnixListenerConfig extends CommonListenerConfig {
  readonly type: 'unix'
  readonly path: string
  readonly socketMode: number | undefined
  /** Name or number. */
  readonly socketUser: string | undefined
  readonly socketGroup: string | undefined
}

export interface TlsConfig {
  readonly certFile: string
  readonly keyFile: string
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly clientCaFile: string | undefined
  readonly requireAndVerifyClientCert: boolean
  readonly disableClientCerts: boolean
}

export interface ForwardedConfig {
  /** Addresses and CIDR blocks. */
  readonly authorizedAddresses: readonly string[]
  readonly hopSkips: number
  readonly rejectNotAuthorized: boolean
  readonly rejectNotPresent: boolean
}

export type SealConfig = { readonly type: 'shamir' } | StaticSealConfig

export interface StaticSealConfig {
  readonly type: 'static'
  readonly currentKeyId: string
  readonly currentKey: KeySource
}

/** Where a seal key is read from; the config file itself never holds it. */
export type KeySource =
  | { readonly from: 'file'; readonly path: string }
  | { readonly from: 'env'; readonly name: string }
  /** A file of that name in `$CREDENTIALS_DIRECTORY` (systemd's LoadCredential). */
  | { readonly from: 'credential'; readonly name: string }

export interface AuditDeviceConfig {
  readonly type: string
  /** With its final slash, as in the API: `log/`. */
  readonly path: string
  readonly description: string
  readonly options: ReadonlyMap<string, string>
}
