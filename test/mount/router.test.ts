import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Operation } from '../../src/mount/operation.ts'
import { declarePath, type NamePattern, namePatterns } from '../../src/mount/path.ts'
import { patternText, Router } from '../../src/mount/router.ts'
import { cpuMilliseconds } from '../support/cpu-time.ts'

const run = () => ({})

function path(
  pattern: string,
  operations: readonly Exclude<Operation, 'help'>[],
  names: Readonly<Record<string, NamePattern>> = {},
) {
  return declarePath({
    pattern,
    names,
    fields: {},
    operations: Object.fromEntries(operations.map((name) => [name, run])),
    synopsis: '',
    description: '',
  })
}

const router = new Router([
  path('roles', ['list']),
  path('policy', ['read', 'list']),
  path('roles/:role', ['read', 'update', 'delete'], { role: 'role' }),
  path('config/ca', ['read', 'update']),
  path('config/:what', ['update']),
  path('lookup', ['update']),
  path('lookup(/:prefix*)', ['list']),
  path('mounts/:path*/tune', ['read', 'update']),
  path('mounts/:path*', ['read', 'update']),
])

function match(rest: string, operation: Operation): string | undefined {
  const found = router.match(rest, operation)
  if (!found) return undefined
  return [found.path.pattern, ...[...found.names].map(([name, text]) => `${name}=${text}`)].join(
    ' ',
  )
}

describe('a request finds its path', () => {
  const rows: [string, Operation, string | undefined][] = [
    ['roles', 'list', 'roles'],
    ['roles/', 'list', 'roles'],
    ['roles/', 'read', 'roles'],
    ['policy', 'read', 'policy'],
    ['policy/', 'read', undefined],
    ['policy/', 'list', 'policy'],
    ['policy/', 'help', 'policy'],
    ['roles/web', 'read', 'roles/:role role=web'],
    ['roles/web/', 'read', undefined],
    ['roles/a b', 'read', undefined],
    ['roles/web/x', 'read', undefined],
    ['roles/-web', 'read', undefined],
    ['roles/web.', 'read', undefined],
    ['roles/w@b.c', 'read', 'roles/:role role=w@b.c'],
    ['config/ca', 'read', 'config/ca'],
    ['config/ca', 'delete', 'config/ca'],
    ['config/other', 'update', 'config/:what what=other'],
    ['lookup', 'update', 'lookup'],
    ['lookup', 'list', 'lookup(/:prefix*)'],
    ['lookup/', 'list', 'lookup(/:prefix*)'],
    ['lookup/a/b', 'list', 'lookup(/:prefix*) prefix=a/b'],
    ['lookup/a/b/', 'list', 'lookup(/:prefix*) prefix=a/b/'],
    ['mounts/a', 'read', 'mounts/:path* path=a'],
    ['mounts/a/b', 'read', 'mounts/:path* path=a/b'],
    ['mounts/a/tune', 'read', 'mounts/:path*/tune path=a'],
    ['mounts/a/b/tune', 'update', 'mounts/:path*/tune path=a/b'],
    ['mounts', 'read', undefined],
    ['nosuch', 'read', undefined],
    ['', 'read', undefined],
    ['Roles', 'list', undefined],
  ]
  for (const [rest, operation, expected] of rows) {
    test(`${operation} ${JSON.stringify(rest)}: ${expected}`, () => {
      assert.equal(match(rest, operation), expected)
    })
  }

  test('an operation that no fitting path offers still names the first that fits', () => {
    assert.equal(match('roles/web', 'patch'), 'roles/:role role=web')
  })

  test('names of more than 512 characters fit nothing', () => {
    assert.ok(match(`roles/${'a'.repeat(512)}`, 'read'))
    assert.equal(match(`roles/${'a'.repeat(513)}`, 'read'), undefined)
  })

  test('protocols 3.2: names are ASCII: the Kelvin sign is no k', () => {
    assert.equal(match('roles/\u212a', 'read'), undefined)
    for (const pattern of Object.values(namePatterns)) {
      assert.doesNotMatch(pattern.flags, /[iu]/)
      assert.match(pattern.source, /^\^.*\$$/)
    }
  })

  test('protocols 3.2: every name pattern runs in linear time', () => {
    const units = ['a', 'a.', 'a-', '.a', 'a@', 'a_-', '-', 'a/', '\n']
    // The short ones show exponential patterns before the long ones would never end.
    for (const length of [24, 512]) {
      for (const unit of units) {
        for (const end of ['!', '\n', '-', '.', '/', 'a']) {
          const text = unit.repeat(length / unit.length) + end
          for (const pattern of Object.values(namePatterns)) {
            const took = cpuMilliseconds(() => {
              for (let i = 0; i < 10; i++) pattern.test(text)
            })
            assert.ok(took < 100, `${pattern.source} on ${unit}… ${end}`)
          }
        }
      }
    }
  })
})

test('help shows the pattern as a regular expression that fits what the router fits', () => {
  for (const declared of router.paths) {
    const expression = new RegExp(patternText(declared).replaceAll('(?P<', '(?<'))
    const sample = declared.pattern.replace(/\(.*\)/, '').replace(/:[a-z]+\*?/g, 'name')
    assert.match(sample, expression)
  }
})
