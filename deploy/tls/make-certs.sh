#!/bin/sh
# Makes certificates for TLS and mutual TLS with openssl (1.1.1 or newer): an authority of your own, a server's, a client's.
# For tests and small installations; where there is cert-manager or an authority already, use that.
#
#   deploy/tls/make-certs.sh FOLDER [NAME...]     names and addresses of the server; default: localhost 127.0.0.1 ::1
#   CLIENT=checkout deploy/tls/make-certs.sh …    the client's name; default: client
#
# An authority that is in FOLDER stays; the other two are made anew each time, which is how they are renewed. In FOLDER:
#
#   ca.pem      ca-key.pem       30 days (CA_DAYS). Keep the key where no server and no client can read it
#   server.pem  server-key.pem    7 days (DAYS). The server's: --tls-cert, --tls-key
#   client.pem  client-key.pem    7 days. A caller's; with --tls-client-ca ca.pem the server asks for it
set -eu

[ $# -ge 1 ] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1
shift
[ $# -gt 0 ] || set -- localhost 127.0.0.1 ::1
client=${CLIENT:-client}
case $client in
*[!A-Za-z0-9.@_-]*) echo "$0: CLIENT is '$client': letters, digits and .@_- only" >&2; exit 2 ;;
esac

names=
for name; do
    case $name in
    *[!A-Za-z0-9.:*-]* | '') echo "$0: '$name' is neither a name nor an address" >&2; exit 2 ;;
    *:*) names=$names,IP:$name ;;
    *[!0-9.]*) names=$names,DNS:$name ;;
    *) names=$names,IP:$name ;;
    esac
done
names=${names#,}

# Keys are for their owner alone, from their first byte on. A new file takes the place of the old one in one step.
umask 077
mkdir -p "$folder"
work=$(mktemp -d "$folder/.new-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# openssl tells of what went well on standard error, too.
quietly() {
    "$@" 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
}

key() {
    quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$1-key.pem"
}

# A configuration of our own, so that what the system's openssl.cnf adds does not matter.
cat >"$work/openssl.cnf" <<CONFIG
[req]
distinguished_name = name
prompt = no
[name]
CN = placeholder
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
# As a client's too: under mutual TLS the server's health check, on its own machine, shows this certificate.
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = $names
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CONFIG

if [ ! -f "$folder/ca-key.pem" ] || [ ! -f "$folder/ca.pem" ]; then
    key ca
    openssl req -x509 -new -config "$work/openssl.cnf" -extensions ca -subj "/CN=Tandem CA" -sha256 -days "${CA_DAYS:-30}" \
        -key "$work/ca-key.pem" -out "$work/ca.pem"
    chmod 644 "$work/ca.pem"
    mv "$work/ca-key.pem" "$work/ca.pem" "$folder/"
fi

leaf() {
    key "$1"
    openssl req -new -config "$work/openssl.cnf" -subj "/CN=$2" -key "$work/$1-key.pem" -out "$work/$1.csr"
    serial=0x1$(openssl rand -hex 15)
    quietly openssl x509 -req -in "$work/$1.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca-key.pem" -set_serial "$serial" -sha256 \
        -days "${DAYS:-7}" -extfile "$work/openssl.cnf" -extensions "$1" -out "$work/$1.pem"
    chmod 644 "$work/$1.pem"
    mv "$work/$1-key.pem" "$work/$1.pem" "$folder/"
}

leaf server "$1"
leaf client "$client"
openssl verify -CAfile "$folder/ca.pem" "$folder/server.pem" "$folder/client.pem"
