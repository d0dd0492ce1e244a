#!/bin/sh
# A real Grid Engine on this machine, for tests and benchmarks: sge.sh COMMAND
#
#   up                  install what is missing, start it, wait until its queues take jobs; may be repeated
#   down [--purge]      delete all jobs and end it; --purge drops its state too
#   env                 print the lines with which a shell uses it: eval "$(sh sge.sh env)"
#   run COMMAND...      run something where the cluster can be reached, as root or with setpriv as anybody else
#
# Debian 12 as root, without systemd. The state is in $AREX_CLUSTERS/sge; nothing is written to /etc. See lib.sh for
# AREX_CLUSTERS and AREX_TEST_USER.
#
# Grid Engine listens on every address, so it lives in a network namespace that has nothing but loopback, and so do
# its jobs. The programs in $AREX_CLUSTERS/sge/bin (qsub, qstat, ...) enter it by themselves, but only root may enter.
# For another account: start what is to be tested with "sge.sh run setpriv --reuid ...", as which the same programs
# then work; or use SGE_NET=host. A job runs as whoever submits it, root too.
#
# One host with 64 slots; the queue all.q, and short.q for whoever asks for it, whose jobs are killed after 2 minutes
# (h_rt); the parallel environment smp in both. A job starts within a second or two. Job and accounting are on disk
# a second after the end of the job.
#
# Settings, read when it starts:
#   SGE_NET=namespace   host: on all addresses of this machine
#   SGE_SLOTS=64        used when the state is made
#   SGE_PORT=28444      and the one above it
set -eu
# shellcheck disable=SC1091 # it is checked on its own
. "$(dirname "$0")/lib.sh"
: "${clusters:?} ${account:?} ${shared:?}"

command=${1:-}
[ $# = 0 ] || shift

place=$clusters/sge
cell=$place/default/common
port=${SGE_PORT:-28444}
space=arex-sge-$port
programs=/usr/lib/gridengine
shipped=/usr/share/gridengine
groups=641000-641999 # one of these marks the processes of a job
host=$(getent hosts 127.0.0.1 | awk '{ print $2; exit }')
net=${SGE_NET:-namespace}
case $net in namespace | host) ;; *) die "SGE_NET is namespace or host, not $net" ;; esac

there() {
    if [ "$net" = host ]; then "$@"; else nsenter --net="/run/netns/$space" "$@"; fi
}

# A program of Grid Engine's, told where its cluster is: engine PROGRAM...
engine() {
    there env -i HOME=/root PATH="$PATH" LC_ALL=C SGE_ROOT="$place" SGE_CELL=default SGE_ARCH="$architecture" \
        SGE_QMASTER_PORT="$port" SGE_EXECD_PORT="$((port + 1))" "$@"
}

make_network() {
    [ "$net" = namespace ] || return 0
    [ -e "/run/netns/$space" ] || ip netns add "$space"
    ip -n "$space" link set lo up
}

# Directories as Grid Engine expects them, and how its parts find each other.
make_root() {
    mkdir -p "$cell" "$place/bin" "$place/log" "$place/engine" "$place/spool/qmaster/job_scripts" "$place/spool/execd"
    ln -sfn "$shipped/util" "$place/util"
    for each in bin lib utilbin; do
        mkdir -p "$place/engine/$each"
        ln -sfn "$programs" "$place/engine/$each/$architecture"
    done
    ln -sfn engine/lib "$place/lib"
    ln -sfn engine/utilbin "$place/utilbin"
    # all names of this machine are one, and that is what the loopback address is called
    printf '%s %s %s\n' "$host" "$(hostname)" "$(hostname -s)" >"$cell/host_aliases"
    echo "$host" >"$cell/act_qmaster"
    cat >"$cell/bootstrap" <<CONF
admin_user              none
default_domain          none
ignore_fqdn             true
spooling_method         classic
spooling_lib            libspoolc
spooling_params         $cell;$place/spool/qmaster
binary_path             $place/engine/bin
qmaster_spool_dir       $place/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
CONF
}

# Change settings in a list of "name value" lines: edit NAME VALUE... <LIST
edit() {
    awk 'BEGIN {
            for (i = 1; i < ARGC; i += 2) value[ARGV[i]] = ARGV[i + 1]
            ARGC = 1
        }
        $1 in value { $0 = sprintf("%-22s %s", $1, value[$1]) }
        { print }' "$@"
}

# What the qmaster must find when it starts for the first time.
fill_spool() {
    {
        engine "$programs/spoolinit" classic libspoolc "$cell;$place/spool/qmaster" init
        edit execd_spool_dir "$place/spool/execd" mailer /bin/true min_uid 0 min_gid 0 gid_range "$groups" \
            execd_params ENABLE_ADDGRP_KILL=TRUE load_report_time 00:00:10 loglevel log_info \
            reporting_params "accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:01" \
            <"$shipped/default-configuration" >"$place/log/configuration"
        engine "$programs/spooldefaults" configuration "$place/log/configuration"
        engine "$programs/spooldefaults" complexes "$shipped/util/resources/centry"
        engine "$programs/spooldefaults" usersets "$shipped/util/resources/usersets"
        engine "$programs/spooldefaults" managers root
    } >"$place/log/setup" 2>&1 || failed "the state can't be made" "$place/log/setup"
}

configure() { "$place/bin/qconf" "$@" >>"$place/log/setup" 2>&1; }
must_configure() { configure "$@" || failed "qconf $* failed" "$place/log/setup"; }

# Queues and the like, which are configured in a running qmaster.
fill_qmaster() {
    list=$place/log/list
    slots=${SGE_SLOTS:-64}
    configure -ah "$host" || true # it may know itself
    configure -as "$host" || true
    cat >"$list" <<CONF
hostname              $host
load_scaling          NONE
complex_values        slots=$slots
user_lists            NONE
xuser_lists           NONE
projects              NONE
xprojects             NONE
usage_scaling         NONE
report_variables      NONE
CONF
    must_configure -Ae "$list"
    printf 'group_name @allhosts\nhostlist %s\n' "$host" >"$list"
    must_configure -Ahgrp "$list"
    must_configure -Ap "$shipped/util/resources/pe/smp" # whose rule is $pe_slots
    for queue in "all.q 0 INFINITY FALSE" "short.q 10 00:02:00 TRUE"; do
        # shellcheck disable=SC2086 # four words
        set -- $queue
        "$place/bin/qconf" -sq | edit qname "$1" hostlist @allhosts seq_no "$2" h_rt "$3" slots "$slots" \
            pe_list smp ckpt_list NONE load_thresholds NONE shell /bin/sh shell_start_mode unix_behavior \
            rerun FALSE priority 0 >"$list"
        must_configure -Aq "$list"
    done
    "$place/bin/qconf" -ssconf | edit schedule_interval 0:0:2 flush_submit_sec 1 flush_finish_sec 1 \
        queue_sort_method seqno load_formula slots job_load_adjustments NONE >"$list"
    must_configure -Msconf "$list"
    rm "$list"
}

# Programs for a PATH.
make_programs() {
    for each in qsub qstat qdel qhold qrls qalter qacct qhost qconf qmod qselect qresub qping; do
        program "$place/bin/$each" <<CONF
#!/bin/sh
SGE_ROOT=$(quoted "$place") SGE_CELL=default SGE_ARCH=$architecture SGE_QMASTER_PORT=$port SGE_EXECD_PORT=$((port + 1))
export SGE_ROOT SGE_CELL SGE_ARCH SGE_QMASTER_PORT SGE_EXECD_PORT
$(
            [ "$net" = host ] || cat <<SPACE
if ! [ /proc/self/ns/net -ef /run/netns/$space ]; then
    if [ -w /run ]; then exec nsenter --net=/run/netns/$space $programs/$each "\$@"; fi
    echo "$each: only root may enter the network of this cluster; see tools/clusters/sge.sh" >&2
    exit 1
fi
SPACE
        )
exec $programs/$each "\$@"
CONF
    done
}

start() {
    ! living "$2" "$1" >/dev/null || return 0
    rm -f "$2"
    engine "$programs/$1" >"$place/log/$1" 2>&1 </dev/null ||
        failed "$1 did not start" "$place/log/$1" "/tmp/${1#sge_}_messages" "${2%/*}/messages"
    wait_for 20 living "$2" "$1" || failed "$1 ended at once" "$place/log/$1" "${2%/*}/messages"
}

qmaster=$place/spool/qmaster/qmaster.pid
execd=$place/spool/execd/${host%%.*}/execd.pid

# Both queues have their slots and no state that says otherwise, as in "au".
usable() { [ "$("$place/bin/qstat" -f | awk '$1 ~ /^(all|short)\.q@/ && NF == 5' | wc -l)" = 2 ]; }

up() {
    make_account
    packages gridengine-master gridengine-exec gridengine-client iproute2 procps
    keep_ports "$port" "$((port + 1))"
    getent hosts "$(hostname)" >/dev/null || die "the name of this machine, $(hostname), must be in /etc/hosts"
    architecture=$("$shipped/util/arch")
    # what was left by a first start that did not get far is of no use
    if ! [ -e "$place/complete" ] && [ -d "$place" ]; then
        down
        rm -rf "$place"
    fi
    make_network
    make_root
    make_programs
    [ -e "$place/complete" ] || fill_spool
    start sge_qmaster "$qmaster"
    wait_for 20 "$place/bin/qconf" -sh || failed "the qmaster does not answer" "$place/spool/qmaster/messages"
    [ -e "$place/complete" ] || fill_qmaster
    start sge_execd "$execd"
    wait_for 60 usable || {
        "$place/bin/qstat" -f >&2 || true
        failed "the queues do not come up" "$place/spool/qmaster/messages" "${execd%/*}/messages"
    }
    touch "$place/complete"
    say "Grid Engine is up: $("$place/bin/qstat" -f | awk '$1 ~ /\.q@/ { print $1, $3 }' | tr '\n' ';')" \
        "To use it: PATH=$place/bin:\$PATH"
}

no_jobs() { list=$("$place/bin/qstat" -u '*') && [ -z "$list" ]; }

# By the group that Grid Engine gives them, which none can leave.
of_jobs() {
    grep -lsE '^Groups:.*[[:space:]]641[0-9]{3}([[:space:]]|$)' /proc/[0-9]*/status | tr -dc '0-9\n'
}

down() {
    if living "$qmaster" sge_qmaster >/dev/null; then
        timeout 20 "$place/bin/qdel" -u '*' >/dev/null 2>&1 || true # no jobs are an error
        wait_for 8 no_jobs || say "jobs are left, and are killed"
    fi
    ! daemon=$(living "$execd" sge_execd) || {
        # shellcheck disable=SC2046 # numbers
        slay "$daemon" $(of_jobs)
        wait_for 10 ended "$daemon" || die "sge_execd (process $daemon) can't be killed"
        rm -f "$execd"
    }
    end "$qmaster" sge_qmaster
    [ ! -e "/run/netns/$space" ] || ip netns delete "$space"
    say "Grid Engine of $place is down"
}

case $command in
    up | down) must_be_root && one_at_a_time sge "$command" "$@" ;;
esac
case $command in
    up) up ;;
    down)
        [ ! -d "$place" ] || down
        [ "${1:-}" != --purge ] || rm -rf "$place"
        ;;
    env)
        exports SGE_ROOT "$place" SGE_CELL default SGE_QMASTER_PORT "$port" SGE_EXECD_PORT "$((port + 1))" \
            AREX_SHARED "$shared"
        echo "export PATH=$(quoted "$place/bin"):\"\$PATH\""
        ;;
    run) there "$@" ;;
    *) usage ;;
esac
