#!/bin/sh
# A root directory with ARC 7, for the tests of the nested layout: interop-arc7.sh PLACE
#
# ARC 7 is not in Debian 12, so PLACE/arc7 gets the packages of Debian 13 that it needs, unpacked: no package is
# installed, nothing needs root, and "rm -rf PLACE/arc7" removes it all. PLACE/arc7/in-arc7 runs a program of ARC 7
# there, with bubblewrap as the user who calls it, and sees the processes, the network and all files of this machine
# but /usr and /etc. May run again at any time: what is complete stays as it is. It prints the version of ARC.
#
# Settings: DEBIAN_ARCHIVE, where the packages come from; the archive that apt uses unless set.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin
export PATH

place=${1:?where}/arc7
root=$place/root
release=trixie
keys=/usr/share/keyrings/debian-archive-keyring.gpg
wanted="nordugrid-arc-arex nordugrid-arc-arcctl nordugrid-arc-client nordugrid-arc-plugins-internal
nordugrid-arc-plugins-needed apt base-files bash coreutils dash debianutils findutils grep gzip hostname
libc-bin mawk perl procps sed systemd tar time util-linux"

die() { echo "interop-arc7.sh: $*" >&2; exit 1; }

# The archive that apt uses for its own release of Debian.
archive() {
    [ -z "${DEBIAN_ARCHIVE:-}" ] || { echo "$DEBIAN_ARCHIVE"; return; }
    # shellcheck disable=SC1091,SC2016 # not ours; apt's
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v "release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" '$1 == release { print $2; exit }'
}

# apt-get with lists, packages and a separate (empty) state of dpkg; other settings of apt hold, such as proxies
apt_get() {
    apt-get -q -y -o Dir::Etc::SourceList="$place/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::State="$place/apt/state" -o Dir::State::Status="$place/apt/status" -o Dir::Cache="$place/apt/cache" \
        -o Dir::Log="$place/apt" -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
        -o Acquire::Languages=none -o Debug::NoLocking=true "$@"
}

fetch() {
    from=$(archive)
    [ -n "$from" ] || die "apt names no archive of this Debian: set DEBIAN_ARCHIVE"
    mkdir -p "$place/apt/state/lists/partial" "$place/apt/cache/archives/partial"
    : >"$place/apt/status"
    echo "deb [signed-by=$keys] $from $release main" >"$place/apt/sources.list"
    apt_get update
    # shellcheck disable=SC2086 # a list
    apt_get install --download-only $wanted
}

# Unpack; what packages would do as they are installed is done here as far as ARC needs it.
unpack() {
    mkdir -p "$root"
    # it has the links that make /bin and /lib parts of /usr
    dpkg-deb --extract "$place"/apt/cache/archives/base-files_*.deb "$root"
    for package in "$place"/apt/cache/archives/*.deb; do dpkg-deb --extract "$package" "$root"; done
    ln -sf mawk "$root/usr/bin/awk"
    ln -sf which.debianutils "$root/usr/bin/which"
    for file in $machine; do : >"$root/etc/$file"; done
}

# What the root has of /etc of this machine.
machine="passwd group hosts resolv.conf nsswitch.conf localtime"

# One program outside, which takes those inside by name. Of this machine it shows all but /usr and /etc.
make_program() {
    cat >"$place/in-arc7.new" <<PROGRAM
#!/bin/sh
# Run a program in the root: in-arc7 PROGRAM ARGUMENT...
root='$root'
set -- -- "\$@"
for file in $machine; do
    [ ! -e "/etc/\$file" ] || set -- --ro-bind "/etc/\$file" "/etc/\$file" "\$@"
done
for each in /*; do
    case \$each in /usr | /etc | /bin | /sbin | /lib* | /dev | /proc) continue ;; esac
    [ ! -d "\$each" ] || set -- --bind "\$each" "\$each" "\$@"
done
for each in bin sbin lib lib64; do
    [ ! -L "\$root/\$each" ] || set -- --symlink "usr/\$each" "/\$each" "\$@"
done
exec bwrap --ro-bind "\$root/usr" /usr --ro-bind "\$root/etc" /etc --dev-bind /dev /dev --bind /proc /proc "\$@"
PROGRAM
    chmod 755 "$place/in-arc7.new"
    mv "$place/in-arc7.new" "$place/in-arc7"
}

[ -e "$keys" ] || die "$keys is missing; install it: sudo apt-get install debian-archive-keyring"
mkdir -p "$place"
exec 9>"$place/lock"
flock 9
if [ ! -e "$place/complete" ]; then
    rm -rf "$place/apt" "$root"
    { fetch && unpack; } >"$place/log" 2>&1 || { tail -n 20 "$place/log" >&2; die "no ARC 7: see $place/log"; }
    rm -rf "$place/apt"
    touch "$place/complete"
fi
make_program
"$place/in-arc7" arcsub --version
