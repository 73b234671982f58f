/**
 * A process that writes to the store in its argument from 64 sides at once, until it is killed.
 * Each line on stdout is the name of a pair of entries whose commit was acknowledged; the first
 * line says that the store is open.
 */
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'

const CLIENTS = 64
const VALUE = Buffer.alloc(1_000, 7)

const [, , path = '', round = ''] = process.argv
const store = await openSqliteStore({ path })
process.stdout.write('open\n')

async function client(number: number): Promise<void> {
  for (let i = 0; ; i++) {
    const name = `${round}/${number}/${i}`
    const pair = ['a', 'b'].map((half) => ({ key: `pair/${name}/${half}`, value: VALUE }))
    const { committed } = await store.commit(pair, [{ key: `pair/${name}/a`, is: 'absent' }])
    if (committed) process.stdout.write(`${name}\n`)
  }
}

await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)))
