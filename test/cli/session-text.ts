/** Command lines with what they are to print, as the texts in `sessions/` and beside this file write them. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'

export interface Exchange {
  readonly request: string
  readonly status: number
  readonly body: string
}

export interface Step {
  readonly line: number
  readonly command: string
  /** Requests that a made-up server expects, with its answers. */
  readonly exchanges: Exchange[]
  readonly input: string[]
  readonly output: string[]
  readonly errors: string[]
  status: number
}

/**
 * `$` is a command line, the lines after it are its standard output, `! ` marks standard error, `? N` the exit
 * status (0 when absent), `$ cat > FILE` with lines up to `EOF` makes a file in the folder, `| ` before a command
 * gives standard input, `> METHOD URL BODY` and `< STATUS BODY` an exchange, `# ` a remark.
 */
export function parseSession(text: string, folder: string): Step[] {
  const steps: Step[] = []
  let exchanges: Exchange[] = []
  let input: string[] = []
  const lines = text.trimEnd().split('\n')
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string
    const step = steps.at(-1)
    const hasCommand = step !== undefined && exchanges.length === 0 && input.length === 0
    if (line.startsWith('# ')) continue
    if (line.startsWith('$ cat > ')) {
      const end = lines.indexOf('EOF', index)
      const content = lines.slice(index + 1, end).map((row) => `${row}\n`)
      writeFileSync(path.join(folder, line.slice('$ cat > '.length)), content.join(''))
      index = end
    } else if (line.startsWith('> ')) {
      exchanges.push({ request: line.slice(2), status: 404, body: '{"errors":[]}' })
    } else if (line.startsWith('< ')) {
      const [, status, body = ''] = /^< ([0-9]+) ?(.*)$/.exec(line) ?? []
      const last = exchanges.pop()
      if (last === undefined) throw new Error(`line ${index + 1}: an answer without a request`)
      exchanges.push({ request: last.request, status: Number(status), body })
    } else if (line.startsWith('| ')) {
      input.push(line.slice(2))
    } else if (line.startsWith('$ ')) {
      const command = line.slice(2)
      steps.push({ line: index + 1, command, exchanges, input, output: [], errors: [], status: 0 })
      exchanges = []
      input = []
    } else if (hasCommand && line.startsWith('? ')) {
      step.status = Number(line.slice(2))
    } else if (hasCommand && (line === '!' || line.startsWith('! '))) {
      step.errors.push(line.slice(2))
    } else if (hasCommand) {
      step.output.push(line)
    }
  }
  return steps
}

/** Settings before a command, and its words. Single and double quotes group; nothing else is special. */
export function splitCommand(command: string): {
  words: string[]
  environment: Record<string, string>
} {
  const found = command.match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? []
  const words = found.map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'))
  const environment: Record<string, string> = {}
  while (/^[A-Z_]+=/.test(words[0] ?? '')) {
    const [name = '', ...value] = (words.shift() as string).split('=')
    environment[name] = value.join('=')
  }
  return { words, environment }
}
