#!/bin/sh
# What the tests with real ARC programs need: interop-setup.sh VENV [PLACE]
#
# ARC ignores jobs that belong to root, and a normal user often can't read a checkout. So PLACE gets, for a normal
# user, a virtual environment of its own with this checkout's wheel in it, and a certificate of a test CA. Run as
# root, the user "arexinterop" is made and owns the certificate; otherwise it is the caller. May run again at any
# time: only the wheel is made anew.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin
export PATH

builder=$1
place=${2:-/var/tmp/arex-interop-$(id -u)}
python=/usr/bin/python3
checkout=$(cd "$(dirname "$0")/.." && pwd)

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y python3-venv
    else
        echo "$python can't make virtual environments; install it: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
sh "$checkout/tools/test-programs.sh"

mkdir -p "$place"
if ! [ -O "$place" ]; then
    echo "$place belongs to another user: remove it, or name another place" >&2
    exit 1
fi
chmod 755 "$place"
exec 9>"$place/lock"
flock 9

if [ "$(id -u)" = 0 ]; then
    account=arexinterop
    id "$account" >/dev/null 2>&1 ||
        useradd --system --no-create-home --home-dir "$place/home" --shell /bin/sh "$account"
    as_user="setpriv --reuid $account --regid $account --clear-groups"
else
    account=$(id -un)
    as_user=
fi

# a CA of our own; a certificate that ends within a day is made anew
certificate=$place/ca/usercert.pem
if ! openssl x509 -checkend 86400 -noout -in "$certificate" >/dev/null 2>&1; then
    rm -rf "$place/ca"
    mkdir -m 755 "$place/ca" "$place/ca/certificates"
    # arcctl wants a configuration, and writes what it makes into the current directory
    printf '[common]\n[arex]\n' >"$place/ca/arc.conf"
    (
        cd "$place/ca"
        export ARC_CONFIG="$place/ca/arc.conf"
        arcctl test-ca --ca-id interop --ca-dir "$place/ca/certificates" init
        arcctl test-ca --ca-id interop --ca-dir "$place/ca/certificates" usercert --username 'Test User' --no-auth
        mv client-*-cert.pem usercert.pem
        mv client-*-key.pem userkey.pem
    ) >"$place/ca/log" 2>&1 || { cat "$place/ca/log" >&2; exit 1; }
    chown "$account" "$place/ca/usercert.pem" "$place/ca/userkey.pem"
    chmod 600 "$place/ca/userkey.pem"
fi

# for servers of the tests on this host
if ! openssl x509 -checkend 86400 -noout -in "$place/ca/hostcert.pem" >/dev/null 2>&1; then
    authority=$place/ca/certificates/ARC-TestCA-interop
    openssl req -new -newkey rsa:2048 -nodes -keyout "$place/ca/hostkey.pem" -out "$place/ca/host.csr" \
        -subj /DC=org/DC=nordugrid/DC=ARC/O=TestCA/CN=localhost 2>/dev/null
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >"$place/ca/host.ext"
    openssl x509 -req -days 30 -in "$place/ca/host.csr" -CA "$authority.pem" -CAkey "$authority-key.pem" \
        -set_serial "$(date +%s)" -extfile "$place/ca/host.ext" -out "$place/ca/hostcert.pem" 2>/dev/null
fi

wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
"$builder/bin/python" -m build --wheel --no-isolation --outdir "$wheels" "$checkout" >"$wheels/log" 2>&1 ||
    { cat "$wheels/log" >&2; exit 1; }
# a daemon of another run may use what is there: only a different wheel is installed
digest=$(sha256sum "$wheels"/*.whl | cut -d ' ' -f 1)
if [ "$digest" != "$(cat "$place/venv/wheel.sha256" 2>/dev/null)" ]; then
    [ -x "$place/venv/bin/pip" ] || "$python" -m venv "$place/venv"
    for wheel in "$wheels"/*.whl; do "$place/venv/bin/pip" install --quiet --disable-pip-version-check "${wheel}[x509]"; done
    "$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/*.whl
    echo "$digest" >"$place/venv/wheel.sha256"
fi

# the user's proxy, for half a day
install -d -o "$account" -m 755 "$place/ca/proxy"
$as_user env HOME="$place/ca/proxy" X509_CERT_DIR="$place/ca/certificates" arcproxy --cert "$place/ca/usercert.pem" \
    --key "$place/ca/userkey.pem" --proxy "$place/ca/proxy/proxy.pem" >"$wheels/log" 2>&1 ||
    { cat "$wheels/log" >&2; exit 1; }

# the user must be able to use all of it
$as_user "$place/venv/bin/arex" --version >/dev/null
$as_user openssl rsa -in "$place/ca/userkey.pem" -noout
echo "$account"
