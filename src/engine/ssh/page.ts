/** Lists of names as the API shows them: sorted, in pages, an empty one absent (contract 1.4). */
import { PosternError } from '../../errors.ts'
import type { FieldOf } from './role/role-fields.ts'

export const pageFields: { readonly after: FieldOf<'string'>; readonly limit: FieldOf<'int'> } = {
  after: { type: 'string', description: 'Shows only names that come after this one.' },
  limit: { type: 'int', description: 'Shows at most so many names; 0 or less: all.' },
}

/** One page of names in order. Throws `not_found` when it is empty. */
export function pageOf(
  names: readonly string[],
  { after, limit }: { readonly after: string; readonly limit: number },
): readonly string[] {
  const rest = after === '' ? names : names.filter((name) => name > after)
  const page = limit > 0 ? rest.slice(0, limit) : rest
  if (page.length === 0) throw absent()
  return page
}

/** The 404 of a thing that is not there: it has no text. */
export function absent(): PosternError {
  return new PosternError('not_found', undefined, { messages: [] })
}
