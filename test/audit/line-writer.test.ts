/** Which lines count as written, whatever the device does (protocols 2.2). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LineWriter, type Sink } from '../../src/audit/line-writer.ts'

type Step = number | Error | Promise<number>

/** Takes as many bytes of each write as its next step says, and all once the steps are used up. */
class ScriptedSink implements Sink {
  readonly isStream: boolean
  readonly steps: Step[]
  readonly calls: string[] = []
  taken = ''
  closed = 0

  constructor(steps: Step[] = [], isStream = false) {
    this.steps = steps
    this.isStream = isStream
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.calls.push(Buffer.from(bytes).toString())
    const step = this.steps.shift() ?? bytes.length
    if (step instanceof Error) throw step
    const count = Math.min(await step, bytes.length)
    this.taken += Buffer.from(bytes.subarray(0, count)).toString()
    return count
  }

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }
}

const failure = (code: string) => Object.assign(new Error(`write: ${code}`), { code })

/** Which of the lines were taken. */
async function send(writer: LineWriter, lines: readonly string[]): Promise<boolean[]> {
  const results = await Promise.allSettled(lines.map((line) => writer.write(line)))
  return results.map(({ status }) => status === 'fulfilled')
}

describe('LineWriter', () => {
  it('writes lines of concurrent requests at once, and the next ones while that is under way', async () => {
    const gate = Promise.withResolvers<number>()
    const sink = new ScriptedSink([gate.promise])
    const writer = new LineWriter(sink)
    const first = send(writer, ['a\n', 'b\n'])
    await new Promise(setImmediate)
    const second = send(writer, ['c\n', 'd\n'])
    assert.deepEqual(sink.calls, ['a\nb\n'])
    gate.resolve(4)
    assert.deepEqual(
      [await first, await second],
      [
        [true, true],
        [true, true],
      ],
    )
    assert.deepEqual(sink.calls, ['a\nb\n', 'c\nd\n'])
  })

  it('releases whole lines of a short write, fails the others, and closes the torn piece', async () => {
    const sink = new ScriptedSink([5])
    const writer = new LineWriter(sink)
    assert.deepEqual(await send(writer, ['aa\n', 'bb\n', 'cc\n']), [true, false, false])
    assert.equal(sink.taken, 'aa\nbb')
    assert.deepEqual(await send(writer, ['dd\n']), [true])
    assert.equal(sink.taken, 'aa\nbb\ndd\n')
  })

  it('adds no newline after a short write that ended with a whole line', async () => {
    const sink = new ScriptedSink([3])
    const writer = new LineWriter(sink)
    assert.deepEqual(await send(writer, ['aa\n', 'bb\n']), [true, false])
    await send(writer, ['cc\n'])
    assert.equal(sink.taken, 'aa\ncc\n')
  })

  it('counts bytes, not characters', async () => {
    const sink = new ScriptedSink([6])
    const writer = new LineWriter(sink)
    assert.deepEqual(await send(writer, ['éé\n', 'é\n']), [true, false])
  })

  it('still owes the newline when even that was not taken', async () => {
    const sink = new ScriptedSink([1, 0, failure('ENOSPC'), 1])
    const writer = new LineWriter(sink)
    for (let i = 0; i < 4; i++) assert.deepEqual(await send(writer, ['aa\n']), [false])
    assert.equal(sink.taken, 'a\n')
    assert.deepEqual(await send(writer, ['bb\n']), [true])
    assert.equal(sink.taken, 'a\nbb\n')
  })

  it('closes a piece that an earlier process left', async () => {
    const sink = new ScriptedSink()
    await new LineWriter(sink, { isTorn: true }).write('aa\n')
    assert.equal(sink.taken, '\naa\n')
  })

  it('loses no line and invents none, however the writes are cut', async () => {
    const step = fc.oneof(
      fc.nat(40),
      fc.constantFrom('ENOSPC', 'EIO').map((code) => failure(code)),
    )
    const batch = fc.array(fc.stringMatching(/^[a-zé]{0,12}$/), { minLength: 1, maxLength: 5 })
    const batches = fc.array(batch, { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), batches, async (steps, sent) => {
        const sink = new ScriptedSink([...steps])
        const writer = new LineWriter(sink)
        const acknowledged: string[] = []
        const all: string[] = []
        for (const [index, texts] of sent.entries()) {
          const lines = texts.map((text, place) => `<${index}.${place}.${text}>\n`)
          const results = await send(writer, lines)
          all.push(...lines)
          acknowledged.push(...lines.filter((_, place) => results[place]))
        }
        const written = sink.taken.split('\n')
        const isPieceOf = (piece: string) =>
          piece === '' || all.some((line) => line.startsWith(piece.replace(/\ufffd$/, '')))
        assert.ok(written.every(isPieceOf), `lines run into each other: ${sink.taken}`)
        // A line that was cut before its newline is whole in the file, and was refused all the same.
        const kept = written.filter((line) => acknowledged.includes(`${line}\n`))
        assert.deepEqual(
          kept,
          acknowledged.map((line) => line.trimEnd()),
        )
      }),
      { numRuns: 150 },
    )
  })

  it('fails lines when the disk can’t be reached, with sync', async () => {
    const sink = Object.assign(new ScriptedSink(), { sync: () => Promise.reject(failure('EIO')) })
    assert.deepEqual(await send(new LineWriter(sink), ['aa\n']), [false])
  })

  it('waits for the disk once for all lines of a write, with sync', async () => {
    let syncs = 0
    const sink = Object.assign(new ScriptedSink(), {
      sync: () => {
        syncs++
        return Promise.resolve()
      },
    })
    assert.deepEqual(await send(new LineWriter(sink), ['aa\n', 'bb\n']), [true, true])
    assert.equal(syncs, 1)
  })

  it('goes on with the rest where a pipe takes only a piece, or is full for a moment', async () => {
    const sink = new ScriptedSink([2, failure('EAGAIN'), 3], true)
    assert.deepEqual(await send(new LineWriter(sink), ['aa\n', 'bb\n', 'cc\n']), [true, true, true])
    assert.equal(sink.taken, 'aa\nbb\ncc\n')
  })

  it('releases what a pipe took before it broke', async () => {
    const sink = new ScriptedSink([4, failure('EPIPE')], true)
    assert.deepEqual(await send(new LineWriter(sink), ['aa\n', 'bb\n']), [true, false])
  })

  it('fails lines of a device that hangs after 2 to 2.5 s, those behind it too, and closes then', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const gate = Promise.withResolvers<number>()
    const sink = new ScriptedSink([gate.promise])
    const writer = new LineWriter(sink)
    const stuck = send(writer, ['aa\n'])
    await new Promise(setImmediate)
    const behind = send(writer, ['bb\n'])
    let settled = false
    void Promise.all([stuck, behind]).then(() => {
      settled = true
    })
    for (let i = 0; i < 4; i++) t.mock.timers.tick(500)
    await new Promise(setImmediate)
    assert.equal(settled, false, 'the lines failed too early')
    t.mock.timers.tick(500)
    assert.deepEqual([await stuck, await behind], [[false], [false]])
    await writer.close()
    assert.equal(sink.closed, 0, 'it was closed under a write')
    gate.resolve(3)
    await new Promise(setImmediate)
    assert.equal(sink.closed, 1)
    assert.equal(sink.taken, 'aa\n', 'a line that had failed was written')
  })

  it('finishes its lines when it is closed, and takes none afterwards', async () => {
    const sink = new ScriptedSink()
    const writer = new LineWriter(sink)
    const last = send(writer, ['aa\n'])
    await writer.close()
    assert.deepEqual(await last, [true])
    assert.equal(sink.closed, 1)
    await assert.rejects(writer.write('bb\n'), /closed/)
  })

  it('refuses lines rather than keep more than some megabytes of them', async () => {
    const gate = Promise.withResolvers<number>()
    const writer = new LineWriter(new ScriptedSink([gate.promise]))
    const first = writer.write('a\n')
    await new Promise(setImmediate)
    const waiting = writer.write('x'.repeat(33 * 1024 * 1024))
    await assert.rejects(writer.write('b\n'), /too many/)
    gate.resolve(2)
    await Promise.all([first, waiting])
  })
})
