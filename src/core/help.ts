/** Help texts (`?help=1`, `path-help`), made from the declarations of paths. */
import type { Outcome } from '../mount/call.ts'
import type { Backend, Path } from '../mount/path.ts'
import type { Match } from '../mount/router.ts'
import { patternText } from '../mount/router.ts'
import { openApiOf } from './openapi.ts'
import type { AuthorizedRequest } from './request/authorize.ts'

/** The help of the path that the request names. */
export function helpOutcome({
  match,
  request,
  mount,
}: AuthorizedRequest): NonNullable<Outcome['bare']> {
  const body = {
    help: pathHelp(request.path, match.path),
    see_also: null,
    openapi: openApiOf([{ mountPath: mount.path, path: match.path }]),
  }
  return { body }
}

/** Stands for the root of a mount, whose help lists what the backend offers. */
export function rootMatch({ description, paths }: Backend): Match {
  const routes = paths.map((path) => `    ${patternText(path)}\n        ${path.synopsis}`).sort()
  const text = `${description}\n\n## PATHS\n\nEach path is shown as the pattern that it matches; a path of that form has help of its own.\n\n${routes.join('\n\n')}`
  return {
    path: { pattern: '', fields: {}, operations: {}, synopsis: '', description: text },
    names: new Map(),
  }
}

function pathHelp(requestPath: string, path: Path): string {
  if (path.pattern === '') return `## DESCRIPTION\n\n${path.description}\n`
  const fields = Object.entries(path.fields)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, field]) => `    ${name} (${field.type})\n        ${field.description}`)
  const parameters = fields.length === 0 ? '' : `## PARAMETERS\n\n${fields.join('\n\n')}\n\n`
  return `Request:        ${requestPath}\nMatching Route: ${patternText(path)}\n\n${path.synopsis}\n\n${parameters}## DESCRIPTION\n\n${path.description}\n`
}
