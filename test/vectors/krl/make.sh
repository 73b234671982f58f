#!/bin/sh
# Makes the KRLs of this folder anew with ssh-keygen and the keys of ../ssh; see ../README.md.
set -eu
cd "$(dirname "$0")"
rm -f ./*.krl
make() { # NAME VERSION [CA]: the specification is on standard input
  cat >specification
  ssh-keygen -q -k -f "$1.krl" -z "$2" ${3+-s "../ssh/$3.pub"} specification
  rm specification
}
make empty 1 </dev/null
make serials 7 ed25519 <<'END'
serial: 1
serial: 3
serial: 5-9
serial: 100000
serial: 5000000000-6000000000
serial: 18446744073709551615
END
# Every other serial: ssh-keygen packs these into bitmaps.
seq 1001 2 9001 | sed 's/^/serial: /' | make bitmap 8 rsa
make key-ids 9 p256 <<'END'
id: alice's laptop
id: bob
END
{
  printf 'key: '; cat ../ssh/p384.pub
  printf 'sha1: '; cat ../ssh/p521.pub
  printf 'sha256: '; cat ../ssh/rsa.pub
  printf 'sha256: '; cat ../ssh/p256.pub
} | make keys 18446744073709551615
