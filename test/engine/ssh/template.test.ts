/** Identity templates. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fillTemplate } from '../../../src/engine/ssh/template.ts'

const identity = (path: string) =>
  new Map([
    ['identity.entity.name', 'carol'],
    ['identity.entity.metadata.teams', 'red,blue'],
    ['identity.entity.metadata.nested', '{{identity.entity.name}}'],
  ]).get(path)

describe('fillTemplate', () => {
  const cases = [
    ['plain', 'plain'],
    ['{{identity.entity.name}}', 'carol'],
    ['a-{{ identity.entity.name }}-z', 'a-carol-z'],
    ['{{identity.entity.name}}.{{identity.entity.name}}', 'carol.carol'],
    ['{{identity.entity.metadata.none}}', undefined],
    ['{{identity.entity.name', undefined],
    ['identity.entity.name}}', undefined],
    ['{{identity.entity.name}} {{', undefined],
  ] as const
  for (const [text, expected] of cases) {
    test(`${text} becomes ${expected}`, () => {
      assert.equal(fillTemplate(text, identity, false), expected)
    })
  }

  test('without an entity a template has no value, and plain text is itself', () => {
    assert.equal(fillTemplate('{{identity.entity.name}}', undefined, true), undefined)
    assert.equal(fillTemplate('fixed', undefined, false), 'fixed')
  })

  test('a value with a comma is refused (GHSA-59w7)', () => {
    assert.throws(() => fillTemplate('{{identity.entity.metadata.teams}}', identity, false), {
      message:
        'template \'{{identity.entity.metadata.teams}}\' could not be rendered -> template substitution contains forbidden value ","',
    })
    assert.equal(fillTemplate('{{identity.entity.metadata.teams}}', identity, true), 'red,blue')
  })

  test('a value that looks like a template is not filled again', () => {
    const filled = fillTemplate('{{identity.entity.metadata.nested}}', identity, false)
    assert.equal(filled, '{{identity.entity.name}}')
  })
})
