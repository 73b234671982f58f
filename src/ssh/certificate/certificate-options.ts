/**
 * Critical options and extensions of certificates (OpenSSH PROTOCOL.certkeys): pairs sorted by name, the
 * value a string inside a string, an empty value no data at all.
 */
import { SshFormatError } from '../../errors.ts'
import { SshReader } from '../reader.ts'
import type { SshWriter } from '../writer.ts'

export type CertificateOptions = ReadonlyMap<string, string>

const OPTION_NAME = /^[!-+\--~]+$/

/** Writes the options as one string, sorted by name. Throws SshFormatError for an unsound one. */
export function writeCertificateOptions(writer: SshWriter, options: CertificateOptions): void {
  writer.nested(() => {
    for (const name of [...options.keys()].sort()) {
      const value = options.get(name) ?? ''
      assertOption(name, value)
      writer.string(name)
      writer.nested(() => {
        if (value !== '') writer.string(value)
      })
    }
  })
}

/** Throws SshFormatError also for names out of order or given twice: the order is part of the format. */
export function parseCertificateOptions(bytes: Uint8Array): Map<string, string> {
  const options = new Map<string, string>()
  const reader = new SshReader(bytes)
  let previous = ''
  while (!reader.isAtEnd) {
    const name = reader.text()
    if (name <= previous) {
      throw new SshFormatError('certificate options that are out of order or given twice')
    }
    const value = parseValue(reader.string())
    assertOption(name, value)
    options.set(name, value)
    previous = name
  }
  return options
}

function parseValue(data: Buffer): string {
  if (data.length === 0) return ''
  const reader = new SshReader(data)
  const value = reader.text()
  reader.end()
  // The empty value has one encoding: no data.
  if (value === '') throw new SshFormatError('a certificate option with an empty inner string')
  return value
}

function assertOption(name: string, value: string): void {
  if (!OPTION_NAME.test(name)) {
    throw new SshFormatError(`certificate option ${JSON.stringify(name)}: not a valid name`)
  }
  if (value.includes('\0') || !value.isWellFormed()) {
    throw new SshFormatError(`certificate option ${name}: the value is not plain text`)
  }
}
