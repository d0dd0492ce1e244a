#!/bin/sh
# What slurm.sh, sge.sh and condor.sh have in common. It is read by them, never run.
#
# Settings, all from the environment:
#   AREX_CLUSTERS     where everything is kept (/var/tmp/arex-clusters)
#   AREX_TEST_USER    the ordinary account that submits jobs beside root (arexinterop, as the interop tests have it)
#   AREX_SHARED       a directory that jobs and their submitters see under the same path ($AREX_CLUSTERS/shared)
umask 022
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C.UTF-8
export PATH LC_ALL

clusters=${AREX_CLUSTERS:-/var/tmp/arex-clusters}
account=${AREX_TEST_USER:-arexinterop}
shared=${AREX_SHARED:-$clusters/shared}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# What the header of the program that reads this says.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

must_be_root() { [ "$(id -u)" = 0 ] || die "this needs root: daemons are started that run jobs as other users"; }

# Go on alone, so that two callers don't start the same cluster: one_at_a_time NAME "$@"
# The lock is held by a separate process, since daemons keep what they inherit.
one_at_a_time() {
    lock=$clusters/.$1.lock
    shift
    [ "${AREX_CLUSTERS_LOCK:-}" != "$lock" ] || return 0
    mkdir -p "$clusters"
    AREX_CLUSTERS_LOCK=$lock exec flock --close "$lock" sh "$0" "$@"
}

# The ordinary account and the shared directory. The account must have a home, since Grid Engine starts jobs there.
make_account() {
    home=/var/tmp/arex-interop-$(id -u)/home
    id "$account" >/dev/null 2>&1 ||
        useradd --system --no-create-home --home-dir "$home" --shell /bin/sh "$account"
    if [ "$(getent passwd "$account" | cut -d : -f 6)" = "$home" ] && ! [ -d "$home" ]; then
        mkdir -p "${home%/*}"
        install -d -o "$account" -g "$(id -g "$account")" -m 755 "$home"
    fi
    mkdir -p "$shared"
    chmod 1777 "$shared"
}

# Keep these ports for daemons: the kernel gives others to clients. keep_ports FIRST LAST
# As far as this machine lets us.
keep_ports() {
    kept=/proc/sys/net/ipv4/ip_local_reserved_ports
    [ -w "$kept" ] || return 0
    before=$(cat "$kept")
    case ",$before," in
        *",$1-$2,"*) ;;
        *) printf '%s\n' "${before:+$before,}$1-$2" >"$kept" 2>/dev/null || say "ports $1 to $2 can't be kept" ;;
    esac
}

# Run a daemon with nothing of the caller's environment: cleanly [VARIABLE=VALUE...] COMMAND...
cleanly() {
    env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Install what is missing: packages NAME...
# A package starts its services as it is installed; a policy forbids that for the time of our work.
packages() {
    lacking=
    for package; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' || lacking="$lacking $package"
    done
    [ -n "$lacking" ] || return 0
    command -v apt-get >/dev/null || die "these Debian packages are needed, and this is no Debian:$lacking"
    say "installing$lacking"
    policy=/usr/sbin/policy-rc.d
    made=
    if ! [ -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    code=0
    # shellcheck disable=SC2086 # a list
    {
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $lacking
    } >"$clusters/install.log" 2>&1 </dev/null || code=1
    [ -z "$made" ] || rm -f "$policy"
    [ "$code" = 0 ] || failed "the installation of$lacking failed" "$clusters/install.log"
}

# End with a sentence and the last lines of logs: failed SENTENCE LOG...
failed() {
    sentence=$1
    shift
    for log; do
        [ -s "$log" ] || continue
        printf '%s\n' "--- $log" >&2
        tail -n 15 "$log" >&2
    done
    die "$sentence"
}

# Print the process of a pid file, if it lives and has this name: living PIDFILE NAME
living() {
    [ -s "$1" ] || return 1
    pid=$(tr -dc 0-9 <"$1")
    [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || return 1
    echo "$pid"
}

# Neither gone nor a zombie, which only its parent can take away.
running() { grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null; }

ended() { ! running "$1"; }

# End a daemon by its pid file, and by force after a while: end PIDFILE NAME [SIGNAL [SECONDS]]
end() {
    if pid=$(living "$1" "$2"); then
        kill "-${3:-TERM}" "$pid"
        wait_for "${4:-20}" ended "$pid" || {
            say "$2 (process $pid) does not end; killing it"
            kill -KILL "$pid"
            wait_for 5 ended "$pid" || die "process $pid ($2) can't be killed"
        }
    fi
    rm -f "$1"
}

# The processes named and all that descend from them: family PID...
family() {
    for member; do
        running "$member" || continue
        echo "$member"
        # shellcheck disable=SC2046 # numbers
        (family $(pgrep -P "$member"))
    done
}

# Kill processes and all that descend from them, at once: slay PID...
# They are stopped first, so that none has a child while the list is made.
slay() {
    [ $# -gt 0 ] || return 0
    # shellcheck disable=SC2046 # numbers
    kill -STOP $(family "$@") 2>/dev/null || true
    # shellcheck disable=SC2046 # numbers
    kill -KILL $(family "$@") 2>/dev/null || true
}

# The processes whose environment has this line: with_environment NAME=VALUE
with_environment() {
    grep -lsazFx -e "$1" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n'
}

# Wait for a command to succeed, SECONDS at most; its output is dropped: wait_for SECONDS COMMAND...
wait_for() {
    until_then=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$until_then" ] || return 1
        sleep 0.2
    done
}

# Write a program for a PATH, from standard input: program FILE
# One that is being run keeps the text that it began with.
program() {
    cat >"$1.new"
    chmod 755 "$1.new"
    mv "$1.new" "$1"
}

# A word for another shell, as eval wants it.
quoted() { printf '%s' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }

# What env prints: exports NAME VALUE...
exports() {
    while [ $# -gt 1 ]; do
        printf 'export %s=%s\n' "$1" "$(quoted "$2")"
        shift 2
    done
}
