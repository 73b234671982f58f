/**
 * A role's `key_option_specs`, read as sshd reads the options of an authorized_keys line (sshd(8), AUTHORIZED_KEYS FILE
 * FORMAT; protocols 4.3): what sshd would refuse is refused when the role is written.
 */
import { SshFormatError } from '../../../../errors.ts'

const MAX_LENGTH = 8192
/** Line ends, other controls, and what makes text look otherwise than it is. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
const OPTION = /([a-z0-9-]+)(?:="((?:\\"|[^"\\]|\\(?!"))*)")?/iy

/** What sshd reads as a time, which has to be later than 1970. Days are counted on into the next month. */
const TIME =
  /^(?!0|1[0-8]|19[0-6]|1970)\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])[0-5]\d([0-5]\d|60)?)?(Z|UTC)?$/i

const flags = new Set([
  'restrict',
  ...[
    'agent-forwarding',
    'port-forwarding',
    'pty',
    'touch-required',
    'user-rc',
    'verify-required',
    'x11-forwarding',
  ].flatMap((name) => [name, `no-${name}`]),
])

/** Whether sshd accepts the value, which it sees without the quotes. */
const values = new Map<string, (value: string) => boolean>([
  ['command', () => true],
  ['environment', (value) => /^[A-Za-z0-9_]+=/.test(value)],
  ['expiry-time', (value) => TIME.test(value)],
  ['from', (value) => value !== ''],
  ['permitlisten', (value) => isPort(value) || isHostAndPort(value)],
  ['permitopen', isHostAndPort],
  ['tunnel', (value) => /^(any|[0-9]{1,9})$/i.test(value)],
])

/** sshd refuses a line that has one of them twice. */
const single = new Set(['command', 'from'])

/** Options that would hand the line to a certificate authority instead of the leased key. */
const refused = new Set(['cert-authority', 'principals'])

export interface KeyOption {
  /** In small letters. */
  readonly name: string
  readonly value: string | undefined
}

/** The options in their order; none for an empty text. Throws SshFormatError, which never quotes a value. */
export function parseKeyOptions(specs: string): readonly KeyOption[] {
  if (specs.length > MAX_LENGTH) throw new SshFormatError('the options are too long')
  const unsafe = UNSAFE.exec(specs)
  if (unsafe) throw new SshFormatError('a control character', unsafe.index)
  const options: KeyOption[] = []
  for (let offset = 0; offset < specs.length; offset += 1) {
    OPTION.lastIndex = offset
    const [text = '', name = '', quoted] = OPTION.exec(specs) ?? []
    const option = { name: name.toLowerCase(), value: quoted?.replaceAll('\\"', '"') }
    offset += text.length
    const isEnd = offset === specs.length
    if (text === '' || (!isEnd && (specs[offset] !== ',' || offset === specs.length - 1))) {
      throw new SshFormatError('not options that are parted by commas', offset)
    }
    checkOption(option, options)
    options.push(option)
  }
  return options
}

function checkOption({ name, value }: KeyOption, before: readonly KeyOption[]): void {
  if (refused.has(name)) throw new SshFormatError(`the option ${name} is not for keys of leases`)
  const accepts = values.get(name)
  if (value === undefined ? !flags.has(name) : !accepts) {
    const problem = value === undefined && accepts ? 'needs a value in quotes' : 'is unknown'
    throw new SshFormatError(`the option ${name} ${problem}`)
  }
  if (value !== undefined && !accepts?.(value)) {
    throw new SshFormatError(`the option ${name} has a value that sshd does not take`)
  }
  if (single.has(name) && before.some((option) => option.name === name)) {
    throw new SshFormatError(`the option ${name} is there twice`)
  }
}

function isPort(text: string): boolean {
  return text === '*' || (/^[0-9]{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536)
}

/** `host:port` or `[address]:port`. */
function isHostAndPort(text: string): boolean {
  const [, port = ''] = /^(?:\[[^\]]+\]|[^:[\]]+):([^:]+)$/.exec(text) ?? []
  return isPort(port)
}
