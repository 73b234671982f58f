/** The stores on SQLite pass the suite that every store has to pass. */
import { testStore } from './conformance.ts'
import { openInFile, openInMemory } from './open-stores.ts'

testStore('SQLite in memory', openInMemory)
testStore('SQLite in a file', openInFile)
