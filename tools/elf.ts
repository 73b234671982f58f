/**
 * Puts a note into an ELF program, as Node's single executables carry their content (ELF gABI, "Note Section"), and takes
 * symbols and debug information out. For x64 programs with fixed addresses, which Node's own builds for Linux are.
 */
import assert from 'node:assert/strict'

const HEADER_BYTES = 64
const ENTRY_BYTES = 56
const PAGE = 0x1000
const LOAD = 1
const NOTE = 4
const PROGRAM_HEADERS = 6
const READABLE = 4

interface Segment {
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly address: number
  readonly fileBytes: number
  readonly memoryBytes: number
  readonly align: number
}

/** A copy of the program that has one more note, in memory of its own. Throws for a program of another kind. */
export function withNote(program: Buffer, name: string, content: Buffer): Buffer {
  assert.equal(program.toString('latin1', 0, 6), '\x7fELF\x02\x01', 'no 64-bit ELF program')
  assert.equal(program.readUInt16LE(16), 2, 'a program with movable addresses')
  assert.equal(program.readUInt16LE(18), 62, 'no program for x64')
  const segments = readSegments(program)
  const loaded = segments.filter(({ type }) => type === LOAD)
  const base = loaded[0]!.address - loaded[0]!.offset
  const keptBytes = Math.max(...loaded.map(({ offset, fileBytes }) => offset + fileBytes))
  const end = Math.max(...loaded.map(({ address, memoryBytes }) => address + memoryBytes))
  // Kernels before 5.18 look for the program headers at the first segment's address plus their place in the file.
  const start = roundUp(Math.max(keptBytes, end - base), PAGE)
  const tableBytes = (segments.length + 2) * ENTRY_BYTES
  const note = encodeNote(name, content)
  const place = (at: number, bytes: number) => ({
    flags: READABLE,
    offset: at,
    address: base + at,
    fileBytes: bytes,
    memoryBytes: bytes,
  })
  const table = segments.map((segment) =>
    segment.type === PROGRAM_HEADERS ? { ...segment, ...place(start, tableBytes) } : segment,
  )
  const load = { type: LOAD, align: PAGE, ...place(start, tableBytes + note.length) }
  // Segments are loaded in the order of their addresses.
  table.splice(table.findLastIndex(({ type }) => type === LOAD) + 1, 0, load)
  table.push({ type: NOTE, align: 4, ...place(start + tableBytes, note.length) })

  const header = Buffer.from(program.subarray(0, HEADER_BYTES))
  header.writeBigUInt64LE(BigInt(start), 32)
  header.writeUInt16LE(table.length, 56)
  // Sections are for linkers and debuggers; what follows the last segment is theirs alone.
  header.writeBigUInt64LE(0n, 40)
  header.fill(0, 60, 64)
  const kept = program.subarray(HEADER_BYTES, keptBytes)
  const gap = Buffer.alloc(start - keptBytes)
  return Buffer.concat([header, kept, gap, ...table.map(encodeSegment), note])
}

function readSegments(program: Buffer): Segment[] {
  const start = number(program, 32)
  assert.equal(program.readUInt16LE(54), ENTRY_BYTES, 'program headers of an unknown size')
  return Array.from({ length: program.readUInt16LE(56) }, (_, index) => {
    const entry = program.subarray(start + index * ENTRY_BYTES, start + (index + 1) * ENTRY_BYTES)
    return {
      type: entry.readUInt32LE(0),
      flags: entry.readUInt32LE(4),
      offset: number(entry, 8),
      address: number(entry, 16),
      fileBytes: number(entry, 32),
      memoryBytes: number(entry, 40),
      align: number(entry, 48),
    }
  })
}

function encodeSegment(segment: Segment): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES)
  entry.writeUInt32LE(segment.type, 0)
  entry.writeUInt32LE(segment.flags, 4)
  const { offset, address, fileBytes, memoryBytes, align } = segment
  for (const [index, value] of [
    offset,
    address,
    address,
    fileBytes,
    memoryBytes,
    align,
  ].entries()) {
    entry.writeBigUInt64LE(BigInt(value), 8 + index * 8)
  }
  return entry
}

/** Sizes of name and content, a kind that means nothing, name, content; each on a boundary of four bytes. */
function encodeNote(name: string, content: Buffer): Buffer {
  const sizes = Buffer.alloc(12)
  sizes.writeUInt32LE(name.length + 1, 0)
  sizes.writeUInt32LE(content.length, 4)
  return Buffer.concat([sizes, padded(Buffer.from(`${name}\0`)), padded(content)])
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(roundUp(bytes.length, 4) - bytes.length)])
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}

function number(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}
