/** A note is put into programs of one kind only; that Node finds it there is shown by test/e2e/shipping.test.ts. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { withNote } from '../../tools/elf.ts'
import { pinnedNode } from '../../tools/executable.ts'

const program = readFileSync(pinnedNode)

test('the note stands behind all that is loaded, page for page at its own address, and the program is left alone', () => {
  const before = Buffer.from(program.subarray(0, 4096))
  const made = withNote(program, 'NAME', Buffer.from('content'))
  assert.deepEqual(program.subarray(0, 4096), before)
  const start = Number(made.readBigUInt64LE(32))
  assert.equal(start % 4096, 0)
  const table = Array.from({ length: made.readUInt16LE(56) }, (_, index) =>
    made.subarray(start + index * 56, start + (index + 1) * 56),
  )
  const [note] = table.filter((entry) => entry.readUInt32LE(0) === 4).slice(-1)
  const at = Number(note!.readBigUInt64LE(8))
  assert.equal(at, start + table.length * 56)
  assert.equal(made.toString('latin1', at + 12, at + 20), 'NAME\0\0\0\0')
  assert.equal(made.toString('latin1', at + 20, at + 27), 'content')
  assert.equal(made.length, at + 28)
  const loads = table.filter((entry) => entry.readUInt32LE(0) === 1)
  const addresses = loads.map((entry) => Number(entry.readBigUInt64LE(16)))
  assert.deepEqual(
    addresses,
    addresses.toSorted((a, b) => a - b),
  )
  // The code is where it was.
  assert.deepEqual(made.subarray(4096, 8192), program.subarray(4096, 8192))
})

test('programs of other kinds are refused', () => {
  const changed = (at: number, byte: number): Buffer => {
    const other = Buffer.from(program.subarray(0, 4096))
    other[at] = byte
    return other
  }
  const empty = Buffer.alloc(0)
  assert.throws(() => withNote(changed(0, 0), 'NAME', empty), /no 64-bit ELF program/)
  assert.throws(() => withNote(changed(4, 1), 'NAME', empty), /no 64-bit ELF program/)
  assert.throws(() => withNote(changed(16, 3), 'NAME', empty), /movable addresses/)
  assert.throws(() => withNote(changed(18, 183), 'NAME', empty), /no program for x64/)
})
