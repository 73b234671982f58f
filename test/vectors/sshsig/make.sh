#!/bin/sh
# Makes the signatures of this folder anew with ssh-keygen and the keys of ../ssh; see ../README.md.
set -eu
cd "$(dirname "$0")"
rm -f ./*.sig
printf 'what is signed\n' >message
sign() { # NAME KEY [ssh-keygen options]
  name=$1 key=$2
  shift 2
  ssh-keygen -q -Y sign -f "../ssh/$key.key" -n bundle@postern "$@" message
  mv message.sig "$name.sig"
}
chmod 600 ../ssh/*.key
for key in rsa p256 p384 p521 ed25519; do sign "$key" "$key"; done
sign ed25519-sha256 ed25519 -O hashalg=sha256
sign rsa-sha256 rsa -O hashalg=sha256
# By the key of a certificate, which stands in the signature instead of the plain key.
cp ../ssh/ed25519.key certified && cp ../ssh/ed25519.pub certified.pub
cp ../ssh/ed25519-cert.pub certified-cert.pub
ssh-keygen -q -Y sign -f certified-cert.pub -n bundle@postern message 2>/dev/null || true
if [ -e message.sig ]; then mv message.sig certificate.sig; fi
rm -f certified certified.pub certified-cert.pub
