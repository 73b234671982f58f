/** `completion`: a script for the shell that has `postern complete` say what a word may become. */
import type { LocalCommand } from '../declaration/command.ts'
import { usageFailure } from '../failure.ts'

const SCRIPTS: ReadonlyMap<string, string> = new Map([
  [
    'bash',
    `_postern() {
  local IFS=$'\\n'
  COMPREPLY=($(postern complete bash "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
  case "\${COMPREPLY[0]-}" in
    */ | *=) compopt -o nospace ;;
  esac
}
complete -o default -F _postern postern
`,
  ],
  [
    'zsh',
    `#compdef postern
_postern() {
  local -a found
  found=("\${(@f)$(postern complete zsh "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=(\${found:#})
  if (( \${#found} == 0 )); then
    _files
    return
  fi
  compadd -S '' -- \${(M)found:#*[/=]}
  compadd -- \${found:#*[/=]}
}
if [ "\${funcstack[1]-}" = _postern ]; then
  _postern "$@"
else
  compdef _postern postern
fi
`,
  ],
  [
    'fish',
    `function __postern_complete
  set -l typed (commandline -opc)
  set -l found (postern complete fish $typed[2..-1] (commandline -ct) 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c postern -f -a '(__postern_complete)'
`,
  ],
])

export const completion: LocalCommand = {
  isLocal: true,
  args: [{ name: 'shell', completes: 'shell' }],
  flags: [],
  description:
    'SHELL is bash, zsh or fish. Names of mounts, roles and policies come from the server when there is a token.',
  examples: [
    'source <(postern completion bash)',
    'postern completion zsh > ~/.zfunc/_postern',
    'postern completion fish > ~/.config/fish/completions/postern.fish',
  ],
  async run({ args: [shell = ''] }, terminal) {
    const script = SCRIPTS.get(shell)
    if (script === undefined) {
      throw usageFailure(`no completion for ${shell}`, 'the shells are bash, zsh and fish')
    }
    terminal.write(script)
    return 0
  },
}
