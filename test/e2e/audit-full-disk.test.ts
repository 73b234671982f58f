/**
 * Torn lines on a full disk (protocols 2.2): at 64 connections every success has exactly its two whole lines, pieces
 * of lines are closed, and service goes on by itself when there is room again. Needs root for a small file system.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { startDevServer } from '../support/server.ts'

const CONNECTIONS = 64
const HEADERS = { 'x-vault-token': 'root' }
/** Room for a few hundred lines, of which the last does not end where the file system does. */
const ROOM_BYTES = 400 * 1024

async function openSite() {
  assert.equal(process.getuid?.(), 0, 'this test mounts a small file system: run it as root')
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-full-disk-'))
  const small = path.join(folder, 'small')
  mkdirSync(small)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small])
  const server = await startDevServer()
  const ask = (method: string, place: string, body?: object) =>
    fetch(`${server.address}/v1/${place}`, {
      method,
      headers: HEADERS,
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  return {
    ask,
    small,
    file: path.join(small, 'audit.log'),
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      execFileSync('umount', [small])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Line {
  readonly type: string
  readonly request: { readonly id: string }
}

/** The lines that can be read, and the pieces. */
function readLog(file: string): { lines: Line[]; pieces: string[] } {
  const lines: Line[] = []
  const pieces: string[] = []
  for (const text of readFileSync(file, 'utf8').split('\n')) {
    if (text === '') continue
    try {
      lines.push(JSON.parse(text))
    } catch {
      pieces.push(text)
    }
  }
  return { lines, pieces }
}

test('protocols 2.2: on a full disk each success has exactly its two whole lines, at 64 connections', async () => {
  await using site = await openSite()
  const { ask, small, file } = site
  const enabled = await ask('PUT', 'sys/audit/file', { type: 'file', options: { file_path: file } })
  assert.equal(enabled.status, 204)
  const filler = path.join(small, 'filler')
  const { bavail, bsize } = statfsSync(small)
  writeFileSync(filler, Buffer.alloc(bavail * bsize - ROOM_BYTES))

  const succeeded: string[] = []
  let refused = 0
  const client = async () => {
    for (let failures = 0; failures < 5; ) {
      const answer = await ask('GET', 'sys/mounts')
      const body = (await answer.json()) as { request_id: string; errors?: string[] }
      if (answer.status === 200) succeeded.push(body.request_id)
      else {
        assert.deepEqual([answer.status, body.errors], [500, ['internal error']])
        failures++
        refused++
      }
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, client))
  assert.ok(succeeded.length > 50, `only ${succeeded.length} succeeded`)
  assert.equal(refused, 5 * CONNECTIONS)

  const full = readLog(file)
  assert.ok(full.pieces.length <= 1, 'a line was written behind a torn piece')
  for (const id of succeeded) {
    const types = full.lines.filter(({ request }) => request.id === id).map(({ type }) => type)
    assert.deepEqual(types, ['request', 'response'])
  }
  const before = readFileSync(file, 'utf8')

  truncateSync(filler)
  const answer = await ask('GET', 'sys/mounts')
  assert.equal(answer.status, 200, 'service did not resume by itself')
  const { request_id: id } = (await answer.json()) as { request_id: string }
  const after = readFileSync(file, 'utf8')
  // What the full disk left ends with a newline, whether it was torn or not; the next lines are whole.
  const kept = before.endsWith('\n') ? before : `${before}\n`
  assert.ok(after.startsWith(kept), 'the torn piece was not closed')
  const added = after
    .slice(kept.length)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  assert.deepEqual(
    added.map(({ type, request }) => [type, request.id]),
    [
      ['request', id],
      ['response', id],
    ],
  )
})
