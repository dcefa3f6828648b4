// SPDX-License-Identifier: Apache-2.0
/**
 * What a shell loads. Each asks `weir complete -- WORDS...`, which prints `value TAB help` a line, and last `:0` when files may
 * stand there too, else `:4`. Nothing is evaluated, and no other package of the shell is needed.
 */
import { script } from '@bomb.sh/tab';

const BASH = `# bash completion of weir
__weir_complete() {
  local line=\${COMP_LINE:0:COMP_POINT} typed value help split=
  local -a given
  read -ra given <<< "$line"
  [[ $line == *[[:space:]] ]] && given+=('')
  typed=\${given[\${#given[@]}-1]}
  # bash ends words at = and : and wants only what is behind the last of them.
  [[ $typed == *[=:]* ]] && split=\${typed%"\${typed##*[=:]}"}
  COMPREPLY=()
  while IFS=$'\\t' read -r value help; do
    case $value in
      :0) ;;
      :4) compopt +o default 2>/dev/null ;;
      *) COMPREPLY+=("$(printf %q "\${value#"$split"}")") ;;
    esac
  done < <(command weir complete -- "\${given[@]:1}" 2>/dev/null)
  # A value follows at once.
  [[ \${#COMPREPLY[@]} -eq 1 && $COMPREPLY == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -o default -F __weir_complete weir
`;

const ZSH = `#compdef weir
# zsh completion of weir
_weir() {
  local -a found joined
  local line value help files=
  while IFS= read -r line; do
    case $line in
      :0) files=1 ;;
      :4) ;;
      *)
        value=\${\${line%%$'\\t'*}//:/\\\\:} help=\${line#*$'\\t'}
        # Behind = a value follows at once.
        if [[ $value == *= ]]; then joined+=("$value\${help:+:$help}"); else found+=("$value\${help:+:$help}"); fi ;;
    esac
  done < <(command weir complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)
  (( $#found )) && _describe weir found
  (( $#joined )) && _describe weir joined -S ''
  [[ -n $files ]] && _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _weir weir
`;

const FISH = `# fish completion of weir
function __weir_complete
    set -l given (commandline -opc) (commandline -ct)
    command weir complete -- $given[2..-1] 2>/dev/null | string match -rv '^:[04]$'
end
complete -c weir -f -a '(__weir_complete)'
complete -c weir -s f -l filename -rF
complete -c weir -l input-file -rF
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export const SHELLS = [...Object.keys(SCRIPTS), 'powershell'] as const;

/** Prints the script of one of SHELLS. */
export const printScript = (shell: string, out: (line: string) => void): void => {
  const text = SCRIPTS[shell];
  if (text === undefined) script(shell, 'weir', 'weir');
  else out(text.trimEnd());
};
