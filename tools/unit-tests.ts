/** Loads the unit test files named as arguments into this one process; run by `tools/test.ts`. */
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

for (const file of process.argv.slice(2)) {
  try {
    await import(pathToFileURL(file).href)
  } catch (error) {
    // The other files are still run, and this one is named.
    test(`${file} loads`, () => {
      throw error
    })
  }
}
