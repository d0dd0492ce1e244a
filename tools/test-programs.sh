#!/bin/sh
# See to it that the programs which the tests start are installed: test-programs.sh [PROGRAM...]
#
# Without arguments these are the programs of "make test"; what only tools/test-shifted.sh needs has to be named.
# Debian packages are installed where we may (as root, or with a sudo that asks nothing); elsewhere the command
# is printed. A program that stays missing is a failure: no test is left out for it.
set -eu
PATH=$PATH:/usr/sbin:/sbin

# a program, and the Debian package that has it
programs='shellcheck shellcheck
setpriv util-linux
ps procps
openssl openssl
arcsub nordugrid-arc-client
arcctl nordugrid-arc-arcctl
arched nordugrid-arc-hed
/usr/lib/arc/libaccINTERNAL.so nordugrid-arc-plugins-internal
/usr/share/arc/submit-fork-job nordugrid-arc-arex
/usr/lib/python3/dist-packages/arc/__init__.py python3-nordugrid-arc
nginx nginx-light
sshd openssh-server
ssh-keygen openssh-client
xrootd xrootd-server
bwrap bubblewrap
/lib/systemd/systemd systemd
crontab cron
cron cron
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
unshare util-linux
cc gcc
/usr/include/stdio.h libc6-dev
zsh zsh
fish fish
man man-db
mandoc mandoc
chromium chromium
chromedriver chromium-driver'
named_only='localedef libc-bin
/usr/share/i18n/locales/de_DE locales
/usr/share/zoneinfo/America/St_Johns tzdata'
[ $# -eq 0 ] || programs="$programs
$named_only"
wanted=" $* "

# "program package" lines of what is not here; multi-arch Debian puts libraries one level deeper
missing() {
    printf '%s\n' "$programs" | while read -r program package; do
        [ "$wanted" = "  " ] || case $wanted in *" $program "*) ;; *) continue ;; esac
        case $program in
            /*) [ -e "$program" ] || [ -e "/usr/lib/$(uname -m)-linux-gnu/${program#/usr/lib/}" ] ;;
            *) command -v "$program" >/dev/null ;;
        esac || printf '%s %s\n' "$program" "$package"
    done
}

# Debian starts the services of a package as it is installed; a policy forbids that for the time of our work.
# a text for another shell, and lists of words
# shellcheck disable=SC2016,SC2086
install_packages() {
    policy=/usr/sbin/policy-rc.d
    forbids='[ -e "$0" ] || { printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0" && echo made; }'
    made=$($as_root sh -c "$forbids" "$policy")
    code=0
    {
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
    } || code=1
    [ -z "$made" ] || $as_root rm -f "$policy"
    return "$code"
}

lacking=$(missing)
[ -n "$lacking" ] || exit 0
packages=$(printf '%s\n' "$lacking" | cut -d ' ' -f 2 | sort -u | tr '\n' ' ')

if ! command -v apt-get >/dev/null; then
    echo "These programs are missing, and this is no Debian: $(printf '%s\n' "$lacking" | cut -d ' ' -f 1 | tr '\n' ' ')" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root=sudo
else
    echo "The tests need these packages. Install them, then come back:" >&2
    echo "    sudo apt-get install $packages" >&2
    exit 1
fi
echo "Installing for the tests: $packages"
install_packages
lacking=$(missing)
[ -z "$lacking" ] || { echo "Still missing after the installation: $lacking" >&2; exit 1; }
