/**
 * The built-in script that edits an authorized_keys file (contract 9, protocols 4.1 and 4.4): POSIX sh with awk, for GNU and
 * busybox systems. It takes W2015's three arguments and does everything as the user who runs it: who may write the file.
 */

/**
 * Arguments: `install` or `uninstall`, a file with lines of public keys, and the authorized_keys file. With `-` for the second
 * the lines are in the variable POSTERN_LINES. A file that it makes has the mode POSTERN_MODE, or 600. New lines go to
 * the top, so that all that the user wrote stays as it was to the last byte, with or without a final line end.
 *
 * Who shares the file must hold a lock around it. Nothing is read or written but in the folder of the file, which is entered
 * once: names are looked up in there, and renaming follows no link.
 */
export const INSTALL_SCRIPT: string = `{
LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export LC_ALL PATH
umask 077
nl='
'
most=1048576

fail() {
  printf 'postern: %s\\n' "$1" >&2
  exit 1
}

# Of the text $2, all lines but those with a key of the lines $1 among their words. Behind them one more line: whether
# the last line is left and has no end (- or +), how many keys were asked for and found, and what was made for keys.
without_keys() {
  case $2 in
    '' | *"$nl") open=0 ;;
    *) open=1 ;;
  esac
  {
    printf '%s\\n\\n' "$1"
    printf '%s' "$2"
  } | awk -v open="$open" '
    !ready && $0 == "" { ready = 1; next }
    !ready {
      gsub(/\\\\"/, "")
      gsub(/"[^"]*"/, "")
      for (i = 1; i < NF; i++) {
        if ($i ~ /^(ssh|ecdsa|sk)-/ && $(i + 1) ~ /^AAAA/) {
          if (!($(i + 1) in keys)) asked++
          keys[$(i + 1)] = 1
          break
        }
      }
      next
    }
    {
      # Characters that the base64 of sshd passes over.
      line = $0
      gsub(/[\\r\\v\\f]/, "", line)
      count = split(line, words, /[ \\t]+/)
      kept = 1
      for (i = 1; i <= count; i++) {
        if (!(words[i] in keys)) continue
        kept = 0
        if (!(words[i] in seen)) found++
        seen[words[i]] = 1
      }
      if (words[count] ~ /^postern:.*,made=folder$/) made = "folder"
      else if (made == "" && words[count] ~ /^postern:.*,made=file$/) made = "file"
      if (kept) print
    }
    END { printf "%s %d %d %s", open && kept ? "-" : "+", asked, found, made }'
}

# Sets rest, asked, found and made for the lines $1 and the text $2.
part() {
  rest=$(without_keys "$1" "$2")
  tail=\${rest##*"$nl"}
  rest=\${rest%"$tail"}
  case $tail in
    [-+]\\ *) ;;
    *) fail "awk failed on the host" ;;
  esac
  case $tail in
    -*) rest=\${rest%"$nl"} ;;
  esac
  tail=\${tail#??}
  asked=\${tail%% *}
  tail=\${tail#* }
  found=\${tail%% *}
  made=\${tail#* }
}

# Fails where $1 is anything but a file of this user's with one name and of bearable size.
check() {
  set -- "$1" $(ls -ldn "$1" 2>/dev/null)
  case \${2-} in
    -*) ;;
    *) fail "$file is not a regular file" ;;
  esac
  [ "$3" -eq 1 ] || fail "$file has more than one name: a hard link"
  [ "$4" -eq "$(id -u)" ] || fail "$file belongs to another user"
  [ "$6" -le "$most" ] || fail "$file is larger than 1 MiB"
}

# Mode and owner of $1. A group that the user is not in is lost.
owned() {
  ls -ldn "$1" | awk '{ print $1, $3 }'
}

# Whether the file $1 holds the text $2.
holds() {
  printf '%s' "$2" | cmp -s - "$1" 2>/dev/null
}

tidy_up() {
  [ -z "$temporary" ] || rm -f "$temporary"
  [ -z "$own_folder" ] || {
    cd /
    rmdir "$folder"
  } 2>/dev/null
}

verb=\${1-}
file=\${3-}
case $verb in
  install | uninstall) ;;
  *) fail "the first argument is install or uninstall" ;;
esac
case $file in
  /*/?*) ;;
  *) fail "the third argument is the whole path of a file" ;;
esac
if [ "\${2-}" = - ]; then
  lines=\${POSTERN_LINES-}
else
  lines=$(cat -- "\${2-}") || fail "the second argument is a file with public keys"
fi
part "$lines" ''
[ "$asked" -gt 0 ] || fail "no public key was given"

folder=\${file%/*}
name=./\${file##*/}
temporary= own_folder=
trap tidy_up EXIT
trap 'exit 143' HUP INT TERM

above=$(cd -P -- "\${folder%/*}/" 2>/dev/null && pwd -P) ||
  fail "the folder \${folder%/*} does not exist, or is closed to user $(id -un)"
if [ ! -d "$folder" ] && [ ! -h "$folder" ]; then
  [ "$verb" = install ] || exit 0
  said=$(mkdir -m 700 "$folder" 2>&1) || fail "cannot make $folder: \${said##*: }"
  own_folder=yes
  [ ! -e /sys/fs/selinux/enforce ] || restorecon "$folder" 2>/dev/null
fi
cd -P -- "$folder" 2>/dev/null || fail "cannot enter $folder"
[ "$(pwd -P)" = "\${above%/}/\${folder##*/}" ] || fail "$folder is a link"

if [ -e "$name" ] || [ -h "$name" ]; then
  is_new=
  check "$name"
else
  [ "$verb" = install ] || exit 0
  is_new=yes
fi
temporary=$(mktemp ./.postern.XXXXXX 2>&1) || {
  said=$temporary temporary=
  fail "cannot write in $folder: \${said##*: }"
}
if [ -n "$is_new" ]; then
  old=
  chmod "\${POSTERN_MODE:-600}" "$temporary"
else
  # First a copy with the old content: it has owner, mode and what else belongs to the file.
  said=$(cp -p "$name" "$temporary" 2>&1) || fail "cannot copy $file: \${said##*: }"
  [ ! -e /sys/fs/selinux/enforce ] || chcon --reference="$name" "$temporary" 2>/dev/null
  [ "$(owned "$name")" = "$(owned "$temporary")" ] ||
    fail "owner and mode of $file cannot be kept"
  # A shell cuts line ends off, and may warn of null characters.
  { old=$(cat "$temporary" && printf x); } 2>/dev/null
  old=\${old%x}
  holds "$temporary" "$old" || fail "$file is not a text"
fi

part "$lines" "$old"
if [ "$verb" = install ]; then
  [ -z "$is_new" ] || made=\${own_folder:+folder}
  [ -z "$is_new" ] || made=\${made:-file}
  [ -z "$made" ] || lines=$(printf '%s\\n' "$lines" | sed "/ postern:[^ ]*\\$/!s/\\$/ postern:/;s/\\$/,made=$made/")
  new=$lines$nl$rest
else
  [ "$found" -gt 0 ] || exit 0
  new=$rest
fi

if [ "$verb" = uninstall ] && [ -z "$new" ] && [ -n "$made" ]; then
  said=$(rm -f "$name" 2>&1) || fail "cannot remove $file: \${said##*: }"
  [ "$made" != folder ] || own_folder=yes
else
  said=$({ printf '%s' "$new" | cat >"$temporary"; } 2>&1) || fail "cannot write in $folder: \${said##*: }"
  holds "$temporary" "$new" || fail "cannot write in $folder"
  check "$temporary"
  if [ -n "$is_new" ]; then
    [ ! -e "$name" ] && [ ! -h "$name" ]
  else
    # A crash of the host must not leave an empty file, which would lock the user out.
    sync "$temporary" 2>/dev/null
    holds "$name" "$old"
  fi || fail "$file is being changed by somebody else"
  case $(mv --help 2>&1) in
    *-T* | *-*T\\]*) flags=-fT ;;
    *) flags=-f ;;
  esac
  said=$(mv "$flags" "$temporary" "$name" 2>&1) || fail "cannot replace $file: \${said##*: }"
  temporary=
fi

{ now=$(cat "$name" && printf x); } 2>/dev/null
part "$lines" "\${now%x}"
if [ "$verb" = install ]; then
  [ "$found" -eq "$asked" ] || fail "the key is not in $file"
  own_folder=
else
  [ "$found" -eq 0 ] || fail "the key is still in $file"
fi
exit 0
}
`
