/** This program's own version, from the one place that holds it. */
import manifest from '../../package.json' with { type: 'json' }

export const version: string = manifest.version
