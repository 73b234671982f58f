/**
 * Parts of the programs for hosts (protocols 4.1, 4.2, 4.7), POSIX sh: the admin's part starts the one of root under sudo, which
 * finds the user, holds the lock and starts the script as that user. Root itself touches nothing below a home.
 */

const PRELUDE = `LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export LC_ALL PATH
fail() {
  printf 'postern: %s\\n' "$1" >&2
  exit 1
}
`

/**
 * In: root. The limit of 20 s is for everything, waiting for the lock too; before it sudo has as long to start it. So all is
 * over before somebody else may work at the lease (its claim holds 60 s).
 */
export const ADMIN_PART: string = `${PRELUDE}
if [ "$(id -u)" -eq 0 ]; then
  set -- timeout 20 sh -s
elif command -v sudo >/dev/null 2>&1; then
  set -- sudo -n timeout 20 sh -s
else
  fail "sudo is not installed on the host"
fi
# A shell may say itself that a program was killed.
{ said=$(printf 'begun=%s\\n%s\\n' "$(date +%s)" "$root" | "$@" 2>&1 >/dev/null); } 2>/dev/null
status=$?
[ "$status" -ne 0 ] || exit 0
case $said in
  *'postern: '*)
    said=\${said#*postern: }
    said=\${said%%
*} ;;
  *'password is required'* | *'terminal is required'* | *'no password was provided'*)
    said="sudo asks $(id -un) for a password: it needs NOPASSWD" ;;
  *'not allowed'* | *'not in the sudoers'* | *'may not run'*)
    said="sudo does not allow it to $(id -un)" ;;
  '')
    case $status in
      124 | 143) said='it takes longer than 20 s' ;;
      *) said="a program ended with status $status" ;;
    esac ;;
  *)
    said=\${said##*
} ;;
esac
printf 'postern: %s\\n' "$said" >&2
exit "$status"
`

/**
 * In: verb, user, may_be_root, place. Out: uid, file. The name of the entry is compared, since getent also takes numbers
 * (protocols 4.2), and services of directories may fold case.
 */
export const USER_ENTRY: string = `${PRELUDE}
if command -v getent >/dev/null 2>&1; then
  said=$(getent passwd "$user")
else
  said=$(cat /etc/passwd)
fi
said=$(printf '%s\\n' "$said" | awk -F: -v user="$user" '$1 "" == user "" { print; exit }')
if [ -z "$said" ]; then
  # Only the files of the host itself are always there to say that a user is gone.
  if [ "$verb" = install ] || awk '
    /^passwd:/ { for (i = 2; i <= NF; i++) if ($i !~ /^(files|compat|systemd|altfiles|db)$/) is_remote = 1 }
    END { exit !is_remote }' /etc/nsswitch.conf 2>/dev/null; then
    fail "user $user does not exist on the host"
  fi
  # The file of the system has outlived the user: whoever gets the name next would have its keys.
  [ "$place" = system ] || exit 0
  uid=$user
else
  set -f
  IFS=:
  set -- $said
  unset IFS
  set +f
  uid=\${3-} home=\${6-}
  case $uid in
    '' | *[!0-9]* | ???????????*) fail "user $user has no number on the host" ;;
  esac
  [ "$uid" -ne 4294967295 ] || fail "user $user has no number on the host"
  [ "$uid" -ne 0 ] || [ -n "$may_be_root" ] || fail "user $user is root on the host: a role has to name root itself"
fi
if [ "$place" = system ]; then
  file=/etc/ssh/postern/keys/$user
else
  case $home in
    /*) ;;
    *) fail "user $user has no home on the host" ;;
  esac
  file=\${home%/}/.ssh/authorized_keys
fi
`

/** In: edit, begun, and what USER_ENTRY leaves. */
export const ROOT_PART: string = `
[ "$(($(date +%s) - begun))" -le 20 ] || fail 'it takes longer than 20 s'
umask 077
locks=/run/lock/postern
held=
let_go() {
  [ -z "$held" ] || rmdir "$held"
}
trap let_go EXIT

# Where everybody may write to /run/lock, somebody may have made it before. Put away by its name alone: nothing of it is followed.
for try in 1 2 3; do
  [ -d /run/lock ] || (umask 022 && mkdir -p /run/lock)
  mkdir "$locks" 2>/dev/null
  set -- $(ls -ldn "$locks" 2>/dev/null)
  case "\${1-} \${3-}" in
    d????[!w]??[!w]*' 0') try=; break ;;
  esac
  aside=$(mktemp -d /run/lock/postern-aside.XXXXXXXXXX 2>/dev/null) && mv "$locks" "$aside/" 2>/dev/null
done
[ -z "$try" ] || fail "cannot make the folder $locks for locks"

if command -v flock >/dev/null 2>&1; then
  exec 9>>"$locks/$uid"
  flock 9 || fail "cannot lock $locks/$uid"
else
  # Nobody holds it longer than 20 s: older than a minute is left by one that was killed.
  while ! mkdir "$locks/$uid.held" 2>/dev/null; do
    find "$locks/$uid.held" -prune -mmin +1 -exec rmdir {} \\; 2>/dev/null
    sleep 0.05 2>/dev/null || sleep 1
  done
  held=$locks/$uid.held
fi

if [ "$place" = system ]; then
  said=$(umask 022 && mkdir -p "\${file%/*}" 2>&1) || fail "cannot make \${file%/*}: \${said##*: }"
  set -- sh -s -- "$file"
elif command -v sudo >/dev/null 2>&1; then
  set -- sudo -n -u "#$uid" sh -s -- "$file"
else
  POSTERN_FILE=$file
  export POSTERN_FILE
  set -- su -s /bin/sh "$user" -c 'exec sh -s'
fi
# With the status that timeout(1) gives, where it does not give it itself.
trap 'kill "$child" 2>/dev/null; (fail "it takes longer than 20 s"); exit 124' TERM
printf '%s\\n' "$edit" | "$@" 9>&- &
child=$!
wait "$child"
exit
`

/** In: script, POSTERN_LINES, and what USER_ENTRY leaves. The script runs as the admin user, as in 2015. */
export const OWN_SCRIPT_PART: string = `
folder=$(mktemp -d "\${HOME:-/tmp}/.postern.XXXXXX" 2>&1) || fail "cannot write as $(id -un): \${folder##*: }"
trap 'cd / && rm -rf "$folder"' EXIT
trap 'exit 143' HUP INT TERM
cd "$folder" || exit 1
said=$({ printf '%s\\n' "$POSTERN_LINES" >key.pub && printf '%s' "$script" >script && chmod 700 script; } 2>&1) ||
  fail "cannot write as $(id -un): \${said##*: }"
POSTERN_USER=$user
export POSTERN_USER
timeout 20 ./script "$verb" key.pub "$file" </dev/null >/dev/null 2>said
status=$?
[ "$status" -ne 0 ] || exit 0
said=$(awk 'NF { print substr($0, 1, 256); exit }' said)
printf 'postern: %s\\n' "the install script ended with status $status\${said:+: $said}" >&2
exit "$status"
`

/**
 * `in_local_time`: lines with their expiry in UTC, each behind its seconds since the epoch, become lines with the expiry that a
 * sshd before 9.1 takes for this second. It hands the time to mktime(3) as standard time (tm_isdst is 0) all the year, so that
 * what date(1) prints in summer would live an hour too long; the mktime of awk is asked in the same way.
 */
export const LOCAL_TIME: string = `
in_local_time() {
  printf '%s\\n' "$1" | while read -r seconds line; do
    time=$seconds taken=
    for try in 1 2 3; do
      utc=$(date -u -d "@$time" '+%Y %m %d %H %M %S') &&
        taken=$(env -u TZ awk -v utc="$utc 0" 'BEGIN { print mktime(utc) }' 2>/dev/null) || break
      case $taken in
        '' | *[!0-9]*) break ;;
        "$seconds") break ;;
      esac
      time=$((time + seconds - taken))
    done
    if [ -z "$taken" ] || [ "$taken" -gt "$seconds" ]; then
      printf 'postern: %s\\n' "cannot tell the local time of the host" >&2
      exit 1
    fi
    set -- $utc
    printf 'expiry-time="%s"%s\\n' "$1$2$3$4$5$6" "\${line#*'"'*'"'}"
  done
}
`
