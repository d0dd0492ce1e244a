#!/bin/sh
# A real HTCondor pool on this machine, for tests and benchmarks: condor.sh COMMAND
#
#   up                  make what is missing, start it, wait until it takes jobs; may be repeated. The first time
#                       takes minutes: HTCondor is not in Debian 12, so a root of Debian 13 is made for it
#   down [--purge|--purge-all]
#                       remove all jobs and end it; --purge drops the state of the pool too, --purge-all the root also
#   env                 print the lines with which a shell uses it: eval "$(sh condor.sh env)"
#
# Debian 12 as root, without systemd; loopback only. The state is in $AREX_CLUSTERS/condor; nothing is written to
# /etc, and mounts are seen by the pool alone. See lib.sh for AREX_CLUSTERS, AREX_TEST_USER and AREX_SHARED.
#
# A job sees the root of Debian 13, and of this machine only $AREX_SHARED, under the same path: the directories of
# jobs belong there; below $AREX_SHARED/unseen jobs don't see them, and HTCondor, which moves them, does. The programs
# in $AREX_CLUSTERS/condor/bin (condor_submit, condor_q, ...) are those of Debian 13, but run here. HTCondor refuses
# jobs of root: called by root, the programs become $CONDOR_ACCOUNT ($AREX_TEST_USER unless set), who must be able to
# write the directory of the job, and to whom belongs what the job writes. Called by another account they stay what
# they are; of accounts only $AREX_TEST_USER is known to the pool.
#
# A job may use the memory that it asks for, or 1024 MB; one that uses more is held, some seconds later.
#
# Settings, read when it starts:
#   CONDOR_CPUS=64              1024 MB each
#   CONDOR_SLOTS=partitionable  static: one slot for each CPU, which starts short jobs faster
#   CONDOR_CYCLE=2              seconds between two rounds of matching
#   CONDOR_PORT=28618
#   DEBIAN_ARCHIVE              where the root is made from; apt's own archive unless set
set -eu
# shellcheck disable=SC1091 # it is checked on its own
. "$(dirname "$0")/lib.sh"
: "${clusters:?} ${account:?} ${shared:?}"

command=${1:-}
[ $# = 0 ] || shift

place=$clusters/condor
root=$place/root
pool=$place/pool
release=trixie
domain=arex.test
worker=STARTD # codespell:ignore
number=64321 # of the account that HTCondor works as, in the root only

# The archive that apt uses, or the first of its own release.
archive() {
    [ -z "${DEBIAN_ARCHIVE:-}" ] || { echo "$DEBIAN_ARCHIVE"; return; }
    # shellcheck disable=SC1091,SC2016 # not ours; apt's
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v "release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" '$1 == release { print $2; exit }'
}

in_root() {
    cleanly DEBIAN_FRONTEND=noninteractive ${http_proxy:+"http_proxy=$http_proxy"} chroot "$root" "$@"
}

# A Debian of its own with HTCondor in it.
make_root() {
    [ ! -e "$root.complete" ] || return 0
    from=$(archive)
    [ -n "$from" ] || die "apt names no archive of this Debian: set DEBIAN_ARCHIVE"
    packages debootstrap debian-archive-keyring
    say "making a root of Debian 13 in $root; this takes minutes"
    rm -rf --one-file-system "$root"
    debootstrap --variant=minbase --include=procps "$release" "$root" "$from" >"$place/log/root" 2>&1 ||
        failed "debootstrap failed" "$place/log/root"
    apt-config dump Acquire >"$root/etc/apt/apt.conf.d/90host"
    echo 'APT::Install-Recommends "false";' >"$root/etc/apt/apt.conf.d/91few"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true # a machine may have none
    in_root groupadd --system --gid "$number" condor
    in_root useradd --system --uid "$number" --gid condor --home-dir /var/lib/condor --shell /usr/sbin/nologin condor
    unshare --mount --pid --fork --kill-child sh "$0" in-pool sh -c \
        'apt-get update -q && apt-get install -q -y condor && apt-get clean' >>"$place/log/root" 2>&1 </dev/null ||
        failed "HTCondor can't be installed" "$place/log/root"
    touch "$root.complete"
}

# Run a command in the root, with its mounts; called in a namespace that ends with the command.
in_pool() {
    cd /
    mount --bind "$root" "$root" # a starter wants "/" to be a mount
    mount -t proc proc "$root/proc"
    mount --bind /sys "$root/sys"
    mount -o remount,bind,ro "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for each in null zero full random urandom tty; do
        : >"$root/dev/$each"
        mount --bind "/dev/$each" "$root/dev/$each"
    done
    ln -s /proc/self/fd "$root/dev/fd"
    for each in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${each#*:}" "$root/dev/${each%:*}"; done
    mkdir "$root/dev/shm"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    for each in "$shared" "$pool"; do
        mkdir -p "$root$each"
        mount --bind "$each" "$root$each"
    done
    # not instead of this shell, which takes away the zombies of the namespace
    in_root "$@" &
    wait "$!"
}

# The root knows this machine's name and the ordinary account, by the same numbers.
make_alike() {
    cp -L /etc/hosts "$root/etc/hosts"
    hostname >"$root/etc/hostname"
    uid=$(id -u "$account")
    gid=$(id -g "$account")
    if [ "$(in_root id -u "$account" 2>/dev/null)" != "$uid" ]; then
        in_root groupadd --non-unique --gid "$gid" "$account"
        in_root useradd --non-unique --uid "$uid" --gid "$account" --create-home --shell /bin/sh "$account" \
            >>"$place/log/root" 2>&1
    fi
}

configure() {
    cpus=${CONDOR_CPUS:-64}
    case ${CONDOR_SLOTS:-partitionable} in
        partitionable)
            slots='NUM_SLOTS = 1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True'
            ;;
        static) slots="NUM_SLOTS = $cpus" ;;
        *) die "CONDOR_SLOTS is partitionable or static, not $CONDOR_SLOTS" ;;
    esac
    for each in log spool execute run lock; do
        install -d -o "$number" -g "$number" -m 755 "$pool/$each"
    done
    install -d -m 1777 "$shared/unseen"
    install -d -m 1777 "$pool/proofs" # where a caller proves who it is, by making a directory
    cat >"$pool/condor_config" <<CONF
# where things are; the files of the package are not read
RELEASE_DIR = /usr
BIN = /usr/bin
SBIN = /usr/sbin
LIB = /usr/lib/condor
LIBEXEC = /usr/libexec/condor
SHARE = /usr/share/condor
LOCAL_DIR = $pool
LOG = $pool/log
SPOOL = $pool/spool
EXECUTE = $pool/execute
RUN = $pool/run
LOCK = $pool/lock
REQUIRE_LOCAL_CONFIG_FILE = False
# the programs run by root outside find no account "condor" there
CONDOR_IDS = $number.$number
DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR SCHEDD $worker

# loopback only
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:${CONDOR_PORT:-28618}
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
ENABLE_IPV6 = False
NO_DNS = True
DEFAULT_DOMAIN_NAME = $domain
UID_DOMAIN = $domain
FILESYSTEM_DOMAIN = $domain
TRUST_UID_DOMAIN = True

SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = FS
SEC_DEFAULT_INTEGRITY = OPTIONAL
SEC_DEFAULT_ENCRYPTION = OPTIONAL
FS_LOCAL_DIR = $pool/proofs
ALLOW_READ = *
ALLOW_WRITE = *
ALLOW_DAEMON = condor@$domain root@$domain
ALLOW_NEGOTIATOR = condor@$domain root@$domain
ALLOW_ADMINISTRATOR = condor@$domain root@$domain
QUEUE_SUPER_USERS = root condor

NUM_CPUS = $cpus
MEMORY = $((cpus * 1024))
$slots
START = True
SUSPEND = False
CONTINUE = True
PREEMPT = False
KILL = False
WANT_SUSPEND = False
WANT_VACATE = False
# a job with more memory than it asked for is held
JOB_DEFAULT_REQUESTMEMORY = 1024
use POLICY : HOLD_IF_MEMORY_EXCEEDED
# what ignores SIGTERM is killed after so many seconds
MachineMaxVacateTime = 5
KILLING_TIMEOUT = 10
RunBenchmarks = False
BASE_CGROUP =
# each job has a separate empty directory in this one's place
MOUNT_UNDER_SCRATCH = $shared/unseen
MAIL = /bin/true

# soon rather than cheap
NEGOTIATOR_INTERVAL = ${CONDOR_CYCLE:-2}
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
SCHEDD_INTERVAL = 5
# a rule of the site, in its own words
SUBMIT_REQUIREMENT_NAMES = Described
SUBMIT_REQUIREMENT_Described = JobBatchName =!= "unwanted"
SUBMIT_REQUIREMENT_Described_REASON = "Say how long your job runs, please."
SCHEDD_MIN_INTERVAL = 1
STARTER_UPDATE_INTERVAL = 5
JOB_START_COUNT = 100
JOB_START_DELAY = 0
MAX_JOBS_RUNNING = 1000
CONF
}

# Programs for a PATH: those of the root, by the root's own loader and libraries.
make_programs() {
    mkdir -p "$place/bin"
    for each in "$root"/lib64/ld-linux*.so.*; do loader=$each; done
    for each in "$root"/usr/lib/*-linux-gnu; do libraries=$each; done
    id="--reuid $(id -u "$account") --regid $(id -g "$account") --clear-groups"
    for each in submit q rm history hold release status config_val version wait qedit vacate_job prio; do
        each=condor_$each
        program "$place/bin/$each" <<CONF
#!/bin/sh
CONDOR_CONFIG=$(quoted "$pool/condor_config")
export CONDOR_CONFIG
set -- $(quoted "$loader") --library-path $(quoted "$libraries:$root/usr/lib") --argv0 $each \\
    $(quoted "$root/usr/bin/$each") "\$@"
[ -w / ] || exec "\$@"
if [ -n "\${CONDOR_ACCOUNT:-}" ]; then
    exec setpriv --reuid "\$CONDOR_ACCOUNT" --regid "\$(id -g "\$CONDOR_ACCOUNT")" --init-groups "\$@"
fi
exec setpriv $id "\$@"
CONF
    done
}

usable() { "$place/bin/condor_status" -schedd -af Name | grep -q . && "$place/bin/condor_status" -af Name | grep -q .; }

up() {
    make_account
    packages procps
    keep_ports "${CONDOR_PORT:-28618}" "${CONDOR_PORT:-28618}"
    mkdir -p "$place/log" "$pool"
    make_root
    make_alike
    if ! living "$place/pid" unshare >/dev/null; then
        configure
        make_programs
        # shellcheck disable=SC2016 # for that shell
        cleanly AREX_CLUSTERS="$clusters" AREX_SHARED="$shared" \
            sh -c 'echo "$$" >"$1"; shift; exec "$@"' sh "$place/pid" \
            setsid unshare --mount --pid --fork --kill-child \
            sh "$0" in-pool env CONDOR_CONFIG="$pool/condor_config" /usr/sbin/condor_master -f \
            >"$place/log/start" 2>&1 </dev/null &
        wait_for 10 living "$place/pid" unshare || failed "the pool did not start" "$place/log/start"
    fi
    wait_for 60 usable || failed "the pool does not answer" "$place/log/start" "$pool/log/MasterLog"
    say "$("$place/bin/condor_version" | head -n 1) is up: $("$place/bin/condor_status" -af Name Cpus |
        awk '{ cpus += $2 } END { print NR, "slots with", cpus, "CPUs" }'). To use it: PATH=$place/bin:\$PATH"
}

no_jobs() { list=$("$place/bin/condor_q" -allusers -af ClusterId) && [ -z "$list" ]; }

# The pool's master, as this machine counts processes.
master() {
    for each in $(family "$1"); do
        [ "$(cat "/proc/$each/comm" 2>/dev/null)" != condor_master ] || echo "$each"
    done
}

down() {
    ! holder=$(living "$place/pid" unshare) || {
        master=$(master "$holder")
        if [ -n "$master" ] && ! no_jobs; then
            # root outside is refused, since the account "condor" is not known there
            cleanly CONDOR_CONFIG="$pool/condor_config" timeout 20 nsenter --target "$master" --mount --pid --root \
                condor_rm -all >"$place/log/remove" 2>&1 || true
            wait_for 8 no_jobs || say "jobs are left, and are killed"
        fi
        [ -z "$master" ] || kill -QUIT "$master"
        # what is still in its process namespace then goes with it
        wait_for 15 ended "$holder" || kill -KILL "$holder"
        wait_for 5 ended "$holder" || die "process $holder can't be killed"
    }
    rm -f "$place/pid"
    say "HTCondor of $place is down"
}

case $command in
    up | down) must_be_root && one_at_a_time condor "$command" "$@" ;;
esac
case $command in
    up) up ;;
    down)
        [ ! -d "$place" ] || down
        case ${1:-} in
            --purge) rm -rf "$pool" ;;
            --purge-all) rm -rf --one-file-system "$place" ;;
        esac
        ;;
    env)
        exports CONDOR_CONFIG "$pool/condor_config" AREX_SHARED "$shared"
        echo "export PATH=$(quoted "$place/bin"):\"\$PATH\""
        ;;
    in-pool) in_pool "$@" ;; # for itself
    *) usage ;;
esac
