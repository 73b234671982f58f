#!/bin/sh
# Makes the vectors of this folder anew with ssh-keygen and openssl; see README.md. The keys are for tests only.
set -eu
cd "$(dirname "$0")"
rm -f ./*.key ./*.pub ./*.pem

ssh-keygen -q -t rsa -b 2048 -N '' -C rsa@vector -f rsa.key
ssh-keygen -q -t ecdsa -b 256 -N '' -C p256@vector -f p256.key
ssh-keygen -q -t ecdsa -b 384 -N '' -C p384@vector -f p384.key
ssh-keygen -q -t ecdsa -b 521 -N '' -C p521@vector -f p521.key
ssh-keygen -q -t ed25519 -N '' -C ed25519@vector -f ed25519.key
ssh-keygen -q -t dsa -N '' -C dsa@vector -f dsa.key
ssh-keygen -q -t ed25519 -N passphrase -C locked@vector -f locked.key
for name in rsa p256 p384 p521 ed25519 dsa locked; do mv "$name.key.pub" "$name.pub"; done

# The same private keys in the other forms.
for name in rsa p256 p384 p521; do
  for form in PEM PKCS8; do
    cp "$name.key" "$name.$form.pem"
    ssh-keygen -q -p -m "$form" -N '' -f "$name.$form.pem" >/dev/null
  done
done
seed=$(sed '/-----/d' ed25519.key | tr -d '\n' | base64 -d | od -An -v -tx1 | tr -d ' \n' |
  sed 's/.*00000040\(.\{64\}\).*/\1/')
printf '302e020100300506032b657004220420%s' "$seed" | xxd -r -p | openssl pkey -inform DER -out ed25519.PKCS8.pem
cp rsa.PEM.pem locked.PEM.pem
ssh-keygen -q -p -m PEM -N passphrase -f locked.PEM.pem >/dev/null
openssl pkcs8 -topk8 -in p256.PKCS8.pem -passout pass:passphrase -out locked.PKCS8.pem

# Security keys need hardware: their public keys are the points above with the names and application around them.
body() { cut -d' ' -f2 "$1" | base64 -d | tail -c "$2"; }
{ printf '\0\0\0\032sk-ssh-ed25519@openssh.com'; body ed25519.pub 36; printf '\0\0\0\004ssh:'; } |
  base64 -w0 | sed 's/^/sk-ssh-ed25519@openssh.com /; s/$/ sk-ed25519@vector\n/' >sk-ed25519.pub
{ printf '\0\0\0\042sk-ecdsa-sha2-nistp256@openssh.com'; body p256.pub 81; printf '\0\0\0\004ssh:'; } |
  base64 -w0 | sed 's/^/sk-ecdsa-sha2-nistp256@openssh.com /; s/$/ sk-ecdsa@vector\n/' >sk-ecdsa.pub

# Every subject type by one CA, then one subject by every CA and RSA signature.
for subject in rsa p256 p384 p521 ed25519 dsa sk-ed25519 sk-ecdsa; do
  ssh-keygen -q -s ed25519.key -I "id of $subject" -n alice,bob -z 18446744073709551615 \
    -V 20260101000000Z:20270101000000Z -O force-command=/bin/true -O source-address=192.0.2.0/24 \
    "$subject.pub"
done
certify() { # NAME CA [ssh-keygen options]
  name=$1 ca=$2
  shift 2
  cp ed25519.pub "$name.pub"
  ssh-keygen -q -s "$ca" -I "$name" "$@" "$name.pub"
  rm "$name.pub"
}
certify by-rsa-sha256 rsa.key -n alice -t rsa-sha2-256
certify by-rsa-sha512 rsa.key -n alice -t rsa-sha2-512
certify by-rsa-sha1 rsa.key -n alice -t ssh-rsa
certify by-p256 p256.key -n alice
certify by-p384 p384.key -n alice
certify by-p521 p521.key -n alice
certify host ed25519.key -h -n web-1.example.com -z 7
certify no-principals ed25519.key
certify custom-options ed25519.key -n alice -O clear -O critical:box@example.com=web \
  -O extension:note@example.com='two words' -O permit-pty
