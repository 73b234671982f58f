import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, afterEach, before, beforeEach, suite, test } from 'node:test'
import { runCli } from '../../src/cli/run.ts'
import { eraseToken, readStoredToken, storeToken } from '../../src/cli/token-store.ts'

suite('a token helper', () => {
  let home: string
  let store: string

  before(() => {
    home = mkdtempSync(path.join(os.tmpdir(), 'postern-helper-'))
    store = path.join(home, 'kept')
    const helper = path.join(home, 'helper')
    const script = `#!/bin/sh
case "$1" in
  get) if [ -f ${store} ]; then cat ${store}; fi ;;
  store) cat > ${store} ;;
  erase) rm -f ${store} ;;
  *) exit 2 ;;
esac
`
    writeFileSync(helper, script, { mode: 0o755 })
    writeFileSync(path.join(home, '.vault'), `token_helper = "${helper}"\n`)
  })
  after(() => rmSync(home, { recursive: true }))

  const place = () => ({ environment: { PATH: process.env['PATH'] }, home })

  test('keeps, gives and forgets the token in the place of the file', async () => {
    assert.equal(await readStoredToken(place()), undefined)
    assert.match(await storeToken(place(), 's.kept'), /token helper .*\/helper$/)
    assert.equal(readFileSync(store, 'utf8'), 's.kept')
    assert.equal(existsSync(path.join(home, '.vault-token')), false)
    assert.equal(await readStoredToken(place()), 's.kept')
    await eraseToken(place())
    assert.equal(await readStoredToken(place()), undefined)
  })

  test('gives commands their token', async () => {
    await storeToken(place(), 's.of-helper')
    const output: string[] = []
    const status = await runCli(['print', 'token'], {
      ...place(),
      isInteractive: false,
      outputIsTerminal: false,
      write: (text) => output.push(text),
      writeError: (text) => output.push(text),
      readInput: async () => '',
      readHidden: async () => '',
    })
    assert.deepEqual([status, output.join('')], [0, 's.of-helper\n'])
  })

  test('that fails is named with what it says', async () => {
    const config = path.join(home, 'config')
    writeFileSync(config, 'token_helper = "echo no keyring >&2; false"\n')
    const environment = { ...place().environment, POSTERN_CONFIG_PATH: config }
    await assert.rejects(readStoredToken({ environment, home }), /failed: no keyring/)
  })

  test('is not looked for in a file that is no config', async () => {
    const config = path.join(home, 'broken')
    writeFileSync(config, 'token_helper = 7\n')
    const environment = { POSTERN_CONFIG_PATH: config }
    await assert.rejects(readStoredToken({ environment, home }), /token_helper is no text/)
    assert.equal(
      await readStoredToken({ environment: { POSTERN_CONFIG_PATH: home }, home }),
      undefined,
    )
  })
})

suite('a token file', () => {
  let home: string

  beforeEach(() => {
    home = mkdtempSync(path.join(os.tmpdir(), 'postern-token-'))
  })
  afterEach(() => rmSync(home, { recursive: true }))

  test('that can not be written leaves the token nowhere', async () => {
    mkdirSync(path.join(home, '.vault-token'))
    await assert.rejects(storeToken({ environment: {}, home }, 's.kept'), /could not be kept/)
    assert.deepEqual(readdirSync(home), ['.vault-token'])
  })

  test('is not written through a link that stands in its way', async () => {
    const other = path.join(home, 'other')
    writeFileSync(other, 'mine')
    symlinkSync(other, path.join(home, `.vault-token.${process.pid}`))
    await storeToken({ environment: {}, home }, 's.kept')
    assert.equal(readFileSync(other, 'utf8'), 'mine')
    assert.equal(readFileSync(path.join(home, '.vault-token'), 'utf8'), 's.kept')
    assert.deepEqual(readdirSync(home).sort(), ['.vault-token', 'other'])
  })
})
