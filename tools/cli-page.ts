/** `docs/cli.md`: every command, from the declarations that the program itself reads. */
import { type AnyCommand, isLocal, type ListedCommand } from '../src/cli/declaration/command.ts'
import { commandList } from '../src/cli/declaration/command-list.ts'
import { commonFlags } from '../src/cli/declaration/common-flags.ts'
import { flagRow } from '../src/cli/declaration/help.ts'
import { usageOf } from '../src/cli/declaration/parse.ts'

interface Loaded {
  readonly listed: ListedCommand
  readonly command: AnyCommand
}

const loaded: readonly Loaded[] = await Promise.all(
  commandList.map(async (listed) => ({ listed, command: await listed.load() })),
)

/** The page's text. */
export function cliPage(): string {
  const now = loaded.filter(({ listed }) => !listed.isOld)
  const old = loaded.filter(({ listed }) => listed.isOld)
  return `<!-- Generated from src/cli/ by npm run docs. -->
# Command line

Flags have one dash or two and may stand before and behind the arguments; \`--\` ends them. \`postern help COMMAND\` shows what stands here;
\`postern completion bash|zsh|fish\` prints completions.

Settings come from flags, then from the environment: \`POSTERN_X\` before \`BAO_X\` before \`VAULT_X\`. The token is that of \`POSTERN_TOKEN\`, else the one that
\`postern login\` has kept in \`~/.vault-token\`, or in the program that \`token_helper = "…"\` in \`~/.vault\` names.

| Exit status | |
|---|---|
| 0 | done |
| 1 | wrong usage, or something on this machine; \`status\`: no answer |
| 2 | the server refused, or nothing was found; \`status\`: sealed |
| 127 | no such command |
| others | \`ssh\`: as ssh ended |

Flags of every command that talks to a server:

${flagTable(commonFlags.map(flagRow))}
${now.map(section).join('\n')}
## Verbs of 2015

${old.map(section).join('\n').replaceAll('\n## ', '\n### ').replace(/^## /, '### ')}`
}

function section({ listed, command }: Loaded): string {
  const { name, summary } = listed
  const parts = [`## ${name}`, `\`${usageOf(name, command)}\``, `${summary}.`]
  if (command.description !== '') parts.push(escaped(command.description))
  if (isLocal(command)) parts.push('Talks to no server.')
  if (command.examples && command.examples.length > 0) {
    parts.push(`\`\`\`sh\n${command.examples.join('\n')}\n\`\`\``)
  }
  if (command.flags.length > 0) parts.push(flagTable(command.flags.map(flagRow)).trimEnd())
  return `${parts.join('\n\n')}\n`
}

function flagTable(rows: readonly (readonly [string, string])[]): string {
  const lines = rows.map(
    ([flag, help]) => `| \`${flag.replaceAll('|', '\\|')}\` | ${escaped(help)} |`,
  )
  return `| Flag | |\n|---|---|\n${lines.join('\n')}\n`
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('*', '\\*').replaceAll('<', '\\<')
}
