/**
 * The program that PAM runs at the start and end of each session (hosts 1.12). It is a script of sh, because starting Node
 * takes longer than a login may wait: it puts what PAM says into a file of its own, and the service makes an event of it.
 */
import { hostPaths } from '../paths.ts'

/** Where the script leaves its files, and how many at most while no service takes them. */
export interface HookPlaces {
  readonly inbox: string
  readonly maxFiles: number
}

export const hookPlaces: HookPlaces = { inbox: `${hostPaths.spoolFolder}/inbox`, maxFiles: 4000 }

/** In the inbox: one byte for each file that had to make room. */
export const DROPPED = '.dropped'

/** The values that a file of the inbox holds, in this order, a NUL after each. */
export const hookFields = [
  'type',
  'boot',
  'pid',
  'start',
  'user',
  'rhost',
  'service',
  'connection',
  'authInfo',
] as const

/**
 * Its status is always 0, it waits for no disk, and what it leaves is whole or not there: a name with a dot in front is one
 * that is being written.
 */
export function sessionHook({ inbox, maxFiles }: HookPlaces): string {
  return `#!/bin/sh
# Written by postern-host. PAM: session optional pam_exec.so quiet /bin/sh ${hostPaths.sessionHook}
exec 2>/dev/null
PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
case $PAM_TYPE in open_session | close_session) ;; *) exit 0 ;; esac
read -r boot < /proc/sys/kernel/random/boot_id
# The name of the process stands in parentheses and may hold blanks.
read -r stat < "/proc/$PPID/stat"
start() { shift 19; echo "$1"; }
ticks=$(start \${stat##*) })
sshd=$PPID
leave() {
  cd '${inbox}' || return
  set -- [0-9]*
  if [ $# -ge ${maxFiles} ]; then
    rm -f "$1"
    printf x >> ${DROPPED}
  fi
  name=$(date +%s)-$$-$PAM_TYPE
  printf '%s\\0' "$PAM_TYPE" "$boot" "$sshd" "$ticks" "$PAM_USER" "$PAM_RHOST" "$PAM_SERVICE" \\
    "$SSH_CONNECTION" "$SSH_AUTH_INFO_0" > ".$name" && mv ".$name" "$name" && sync "$name" . && return
  rm -f ".$name"
}
# A disk that hangs holds up no login.
leave > /dev/null < /dev/null &
exit 0
`
}
