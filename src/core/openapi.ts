/** An OpenAPI 3.0.2 document made from path declarations. */
import type { FieldType } from '../mount/field.ts'
import type { Path } from '../mount/path.ts'

export interface MountedPath {
  /** With its final slash. */
  readonly mountPath: string
  readonly path: Path
}

type Json = Record<string, unknown>

const METHODS = new Map([
  ['read', 'get'],
  ['list', 'get'],
  ['update', 'post'],
  ['create', 'post'],
  ['patch', 'patch'],
  ['delete', 'delete'],
])

/** The document of these paths; operations that share a method share its entry. */
export function openApiOf(mounted: readonly MountedPath[]): Json {
  const paths: Json = Object.create(null)
  for (const { mountPath, path } of mounted) {
    const names = namesIn(path)
    const item: Json = { description: path.synopsis }
    if (names.length > 0) item['parameters'] = names.map((name) => pathParameter(name, path))
    for (const operation of Object.keys(path.operations)) {
      const method = METHODS.get(operation)
      if (method && item[method] === undefined)
        item[method] = operationOf(mountPath, path, operation)
    }
    paths[`/${mountPath}${templateOf(path)}`] = item
  }
  return {
    openapi: '3.0.2',
    info: {
      title: 'Postern API',
      description: 'SSH access broker, wire-compatible with the HTTP API of Vault.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    paths,
  }
}

function templateOf(path: Path): string {
  return path.pattern.replace(/[()]/g, '').replace(/:([a-z_]+)\*?/g, '{$1}')
}

function namesIn(path: Path): string[] {
  return [...path.pattern.matchAll(/:([a-z_]+)/g)].map((match) => match[1] as string)
}

function pathParameter(name: string, path: Path): Json {
  const description = path.fields[name]?.description ?? ''
  return { name, in: 'path', required: true, description, schema: { type: 'string' } }
}

function operationOf(mountPath: string, path: Path, operation: string): Json {
  const entry: Json = {
    summary: path.synopsis,
    description: path.description,
    tags: [mountPath.replace(/\/$/, '')],
    responses:
      operation === 'delete'
        ? { 204: { description: 'empty body' } }
        : { 200: { description: 'OK' } },
  }
  if (path.auth === 'none') entry['security'] = []
  if (operation === 'list') {
    entry['parameters'] = [
      { name: 'list', in: 'query', required: true, schema: { type: 'string', enum: ['true'] } },
    ]
  }
  const properties = bodyProperties(path)
  if ((operation === 'update' || operation === 'create' || operation === 'patch') && properties) {
    entry['requestBody'] = {
      content: { 'application/json': { schema: { type: 'object', properties } } },
    }
  }
  return entry
}

function bodyProperties(path: Path): Json | undefined {
  const inPath = new Set(namesIn(path))
  const fields = Object.entries(path.fields).filter(([name]) => !inPath.has(name))
  if (fields.length === 0) return undefined
  const properties: Json = Object.create(null)
  for (const [name, field] of fields) {
    properties[name] = { ...schemaOf(field.type), description: field.description }
  }
  return properties
}

function schemaOf(type: FieldType): Json {
  switch (type) {
    case 'int':
      return { type: 'integer' }
    case 'bool':
      return { type: 'boolean' }
    case 'duration':
      return { type: 'string', format: 'duration' }
    case 'time':
      return { type: 'string', format: 'date-time' }
    case 'map':
    case 'string-map':
    case 'kv-pairs':
      return { type: 'object' }
    case 'comma-list':
    case 'string-list':
      return { type: 'array', items: { type: 'string' } }
    case 'any':
      return {}
    default:
      return { type: 'string' }
  }
}
