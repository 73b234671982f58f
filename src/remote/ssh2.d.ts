/** The part of `ssh2` that is used: the package brings no types, and those of others bring an old `@types/node`. */
declare module 'ssh2' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'
  import type { Duplex, Readable } from 'node:stream'

  export interface ParsedKey {
    readonly type: string
    /** What an Error is given for instead of a signature is refused. */
    sign(data: Buffer, hash?: string): Buffer | Error
  }

  export interface PublicKeyLogin {
    readonly type: 'publickey'
    readonly username: string
    readonly key: ParsedKey
  }

  export interface ConnectOptions {
    readonly sock: Socket
    readonly username: string
    readonly ident: string
    readonly readyTimeout: number
    readonly keepaliveInterval: number
    readonly keepaliveCountMax: number
    readonly algorithms: {
      readonly kex: readonly string[]
      readonly serverHostKey: readonly string[]
      readonly cipher: readonly string[]
      readonly hmac: readonly string[]
      readonly compress: readonly string[]
    }
    readonly hostVerifier: (key: Buffer) => boolean
    readonly authHandler: (
      left: readonly string[] | null,
      isPartial: boolean | null,
      next: (login: PublicKeyLogin) => void,
    ) => false | undefined
  }

  export interface Channel extends Duplex {
    readonly stderr: Readable
    close(): void
  }

  export class Client extends EventEmitter {
    /** Software of the server's identification; private to the package, hence the exact version and a test. */
    readonly _remoteVer: string | undefined
    connect(options: ConnectOptions): this
    exec(command: string, callback: (error: Error | undefined, channel: Channel) => void): this
    end(): this
  }

  const ssh2: {
    readonly Client: typeof Client
    readonly utils: { parseKey(text: string): ParsedKey | Error }
  }

  // biome-ignore lint/style/noDefaultExport: a package in CommonJS has one.
  export { ssh2 as default }
}
