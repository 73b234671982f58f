import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatHcl } from '../../src/cli/hcl-format.ts'
import { plainValue } from '../../src/hcl/block.ts'
import { HclError } from '../../src/hcl/error.ts'
import { parseHcl } from '../../src/hcl/parse.ts'

const UNTIDY = `

# Who signs.
path   "ssh/sign/web"   {
capabilities=["update"]
      required_parameters = [ "public_key" ]   // this one


  allowed_parameters = {
"*"=[]   # all
    list = [
"a",
        "b" ]
}
    /* kept
         as it is */
  text = <<EOF
   kept  


EOF
}`

const TIDY = `# Who signs.
path   "ssh/sign/web"   {
  capabilities        = ["update"]
  required_parameters = [ "public_key" ]   // this one

  allowed_parameters = {
    "*" = []   # all
    list = [
      "a",
      "b" ]
  }
    /* kept
         as it is */
  text = <<EOF
   kept  


EOF
}
`

test('a policy gets one layout, and its comments stay', () => {
  assert.equal(formatHcl(UNTIDY), TIDY)
})

test('a text in that layout stays as it is', () => {
  assert.equal(formatHcl(TIDY), TIDY)
})

test('a byte order mark is dropped, and moves nothing', () => {
  assert.equal(formatHcl('\uFEFFname="dev"\n'), 'name = "dev"\n')
})

test('a text that is not valid is refused', () => {
  assert.throws(() => formatHcl('path "x" {'), HclError)
})

test('what a text means does not change with its layout', () => {
  const name = fc.constantFrom('a', 'key', '"quo ted"')
  const value = fc.constantFrom('1', '"x"', '["a", "b"]', '[\n"a"\n]', 'true', '"a = b"', '"{"')
  const line = fc.oneof(
    fc.tuple(name, value).map(([key, text]) => `${key}=${text}`),
    fc.constantFrom(
      '# note',
      '',
      '  // { [',
      'path "x" {\na =   1\n}',
      'm = { b = 2 }',
      't = <<EOF\n x \n\n\nEOF',
    ),
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const text = lines.join('\n')
      const formatted = formatHcl(text)
      assert.deepEqual(plainValue(parseHcl(formatted)), plainValue(parseHcl(text)))
      assert.equal(formatHcl(formatted), formatted)
    }),
    { numRuns: 200 },
  )
})
