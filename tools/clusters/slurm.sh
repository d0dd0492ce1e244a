#!/bin/sh
# A real SLURM on this machine, for tests and benchmarks: slurm.sh COMMAND [--dbd] [...]
#
#   up [--dbd]               install what is missing, start it, wait until its nodes are idle; may be repeated.
#                            With --dbd also slurmdbd on a separate MariaDB: accounting, QOS and limits
#   down [--dbd] [--purge]   cancel all jobs and end it; --purge drops its state too. Without --dbd both kinds
#   env [--dbd]              print the lines with which a shell uses it: eval "$(sh slurm.sh env)"
#   stop-controller [--dbd]  end slurmctld alone; nodes and jobs go on
#   start-controller [--dbd]
#   kill-node NODE [--dbd]   kill a node with all its jobs, as a loss of power would; they end as NODE_FAIL when the
#                            controller misses it, in two or three times SLURM_NODE_TIMEOUT
#   start-node NODE [--dbd]  start it again; jobs that it had end as NODE_FAIL now
#
# Debian 12 as root, without systemd; loopback only. Nothing is written to /etc. The state is in
# $AREX_CLUSTERS/slurm, or slurm-dbd; both may run side by side. See lib.sh for AREX_CLUSTERS, AREX_TEST_USER.
#
# Four nodes n1 to n4 of one host, 16 pretended CPUs, 32000 MB and 4 pretended GPUs (gres gpu) each. n1 and n2 have
# the feature "fast", n2 and n3 "big". Jobs get 1000 MB a CPU, and a job that uses more than it asked for is killed.
# Partitions, all without a time limit but "short":
#   main     all nodes; the default
#   short    all nodes; 2 minutes
#   low      n4; its jobs are cancelled when one of "high" wants their place
#   high     n4
#   limited  all nodes; 5 jobs a user, the next one is refused (QOS "tiny"); only with --dbd
# With --dbd: account "grid" with root and $AREX_TEST_USER in it, QOS "normal" (default) and "tiny".
# sacct may know a job up to five seconds later than squeue.
#
# Settings, read when it starts:
#   SLURM_CPUS=64               of all nodes together
#   SLURM_MIN_JOB_AGE=300       seconds for which an ended job is remembered
#   SLURM_MAX_JOB_COUNT=100000
#   SLURM_MAX_ARRAY_SIZE=1001
#   SLURM_NODE_TIMEOUT=10       seconds without a sign of life after which a node is down
#   SLURM_REQUEUE=0             1: jobs of a lost node start again, unless they forbid it
#   SLURM_ENFORCE_LIMITS=NO     ALL: refuse jobs beyond a limit of the partition, instead of leaving them pending
#   SLURM_MEMORY=poll           cgroup: let the kernel kill for memory (cgroup version 1 needed); a job that is then
#                               killed ends as OUT_OF_MEMORY; free: no one looks, which costs nothing
#   SLURM_JOB_SUBMIT=           lua: job_submit.lua refuses jobs with the name "unwanted", in its own words
#   SLURM_PORT=28817            and the nine above it; --dbd: those from 100 above
set -eu
# shellcheck disable=SC1091 # it is checked on its own
. "$(dirname "$0")/lib.sh"
: "${clusters:?} ${account:?}"

nodes='n1 n2 n3 n4'
command=${1:-}
[ $# = 0 ] || shift
dbd=
purge=
node=
for word; do
    case $word in
        --dbd) dbd=yes ;;
        --purge) purge=yes ;;
        n[1-4]) node=$word ;;
        *) usage ;;
    esac
done

place=$clusters/slurm${dbd:+-dbd}
port=${SLURM_PORT:-28817}
[ -z "$dbd" ] || port=$((port + 100))
name=arex${dbd:+dbd}
host=$(hostname -s)
SLURM_CONF=$place/slurm.conf
export SLURM_CONF
# what the caller has set for its own jobs must not steer ours
unset SLURM_CLUSTERS SLURM_PARTITION SBATCH_PARTITION SQUEUE_FORMAT SINFO_FORMAT

configure() {
    cpus=$((${SLURM_CPUS:-64} / 4))
    case ${SLURM_MEMORY:-poll} in
        poll) tracking=linuxproc task=none gather=linux parameters=OverMemoryKill ;;
        free) tracking=linuxproc task=none gather=none parameters=NoOverMemoryKill ;;
        cgroup) tracking=cgroup task=cgroup gather=linux parameters=NoOverMemoryKill ;;
        *) die "SLURM_MEMORY is poll, cgroup or free, not ${SLURM_MEMORY}" ;;
    esac
    cat >"$place/slurm.conf.new" <<CONF
ClusterName=$name
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=$port
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket
CredType=cred/munge
StateSaveLocation=$place/controller
SlurmdSpoolDir=$place/spool/%n
SlurmctldPidFile=$place/run/slurmctld.pid
SlurmdPidFile=$place/run/slurmd-%n.pid
SlurmctldLogFile=$place/log/slurmctld
SlurmdLogFile=$place/log/slurmd-%n
LogTimeFormat=iso8601_ms
MpiDefault=none
SwitchType=switch/none
# jobs
ProctrackType=proctrack/$tracking
TaskPlugin=task/$task
JobAcctGatherType=jobacct_gather/$gather
JobAcctGatherFrequency=1
JobAcctGatherParams=$parameters
JobCompType=jobcomp/none
JobRequeue=${SLURM_REQUEUE:-0}
${SLURM_JOB_SUBMIT:+JobSubmitPlugins=$SLURM_JOB_SUBMIT}
KillWait=5
MinJobAge=${SLURM_MIN_JOB_AGE:-300}
MaxJobCount=${SLURM_MAX_JOB_COUNT:-100000}
MaxArraySize=${SLURM_MAX_ARRAY_SIZE:-1001}
EnforcePartLimits=${SLURM_ENFORCE_LIMITS:-NO}
# scheduling
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=2,bf_continue
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=1000
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
# nodes
SlurmdParameters=config_overrides
SlurmdTimeout=${SLURM_NODE_TIMEOUT:-10}
ReturnToService=2
GresTypes=gpu
$(accounting)
$(
        number=0
        for each in $nodes; do
            number=$((number + 1))
            case $each in n1) has=fast ;; n2) has=fast,big ;; n3) has=big ;; *) has=plain ;; esac
            echo "NodeName=$each NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + number)) CPUs=$cpus" \
                "RealMemory=32000 Gres=gpu:4 Feature=$has State=UNKNOWN"
        done
    )
PartitionName=DEFAULT Nodes=n[1-4] MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=OFF
PartitionName=main Default=YES
PartitionName=short MaxTime=2
PartitionName=low Nodes=n4 PreemptMode=CANCEL
PartitionName=high Nodes=n4 PriorityTier=10
${dbd:+PartitionName=limited QOS=tiny}
CONF
    mv "$place/slurm.conf.new" "$place/slurm.conf"
    cat >"$place/job_submit.lua" <<'LUA'
function slurm_job_submit(job, partitions, uid)
    if job.name == "unwanted" then
        slurm.log_user("Say how long your job runs, please.")
        return slurm.ERROR
    end
    return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, uid)
    return slurm.SUCCESS
end

return slurm.SUCCESS
LUA
    # a GPU without a device is dropped, and which device it is no one asks
    printf 'AutoDetect=off\n' >"$place/gres.conf"
    printf 'Name=gpu File=%s\n' /dev/full /dev/null /dev/random /dev/zero >>"$place/gres.conf"
    # slurmd loads the plugin even when nothing uses it, and looks for systemd unless it is named
    cat >"$place/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
CONF
}

accounting() {
    if [ -z "$dbd" ]; then
        echo 'AccountingStorageType=accounting_storage/none'
        return
    fi
    cat <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((port + 8))
AccountingStoragePass=$place/munge/socket
AccountingStorageEnforce=limits,qos
AccountingStorageTRES=gres/gpu
CONF
}

# Start a daemon unless it runs: start NAME PIDFILE LOG [VARIABLE=VALUE...] COMMAND...
# A client may have its port for a moment: then it is tried again.
start() {
    name_of=$1 pidfile=$2 log=$3
    shift 3
    for _ in 1 2 3; do
        ! living "$pidfile" "$name_of" >/dev/null || return 0
        rm -f "$pidfile"
        cleanly SLURM_CONF="$SLURM_CONF" "$@" >>"$place/log/start" 2>&1 </dev/null ||
            failed "$name_of did not start" "$place/log/start" "$log"
        ! wait_for 20 living "$pidfile" "$name_of" || return 0
        tail -n 3 "$log" | grep -q 'Address already in use' || break
        say "$name_of: its port is taken, trying again"
    done
    failed "$name_of ended at once" "$place/log/start" "$log"
}

start_munge() {
    mkdir -p "$place/munge"
    chmod 711 "$place/munge" # everybody reaches the socket, no one the key
    [ -s "$place/munge/key" ] || (umask 077 && head -c 128 /dev/urandom >"$place/munge/key")
    start munged "$place/munge/pid" "$place/log/munged" munged --force --num-threads=2 \
        --key-file="$place/munge/key" --socket="$place/munge/socket" --seed-file="$place/munge/seed" \
        --pid-file="$place/munge/pid" --log-file="$place/log/munged"
    wait_for 10 munge --socket="$place/munge/socket" --no-input || failed "munged does not answer" "$place/log/munged"
}

# root is let in by the socket, as root: there is no password
sql() { mariadb --no-defaults --socket="$place/sql/socket" --user=root "$@"; }

start_database() {
    install -d -o mysql -g mysql -m 700 "$place/sql/data"
    install -d -o mysql -g mysql -m 700 "$place/sql/tmp"
    install -d -o mysql -g mysql -m 755 "$place/sql"
    cat >"$place/sql/my.cnf" <<CONF
[mariadbd]
user = mysql
datadir = $place/sql/data
socket = $place/sql/socket
pid-file = $place/sql/pid
log-error = $place/sql/log.err
tmpdir = $place/sql/tmp
skip-networking
innodb-buffer-pool-size = 256M
innodb-log-file-size = 64M
innodb-lock-wait-timeout = 900
innodb-flush-log-at-trx-commit = 2
CONF
    [ -d "$place/sql/data/mysql" ] || mariadb-install-db --defaults-file="$place/sql/my.cnf" --skip-test-db \
        --auth-root-authentication-method=socket >"$place/log/sql-install" 2>&1 ||
        failed "the database can't be made" "$place/log/sql-install" "$place/sql/log.err"
    living "$place/sql/pid" mariadbd >/dev/null || {
        rm -f "$place/sql/pid"
        cleanly setsid mariadbd --defaults-file="$place/sql/my.cnf" >>"$place/log/start" 2>&1 </dev/null &
    }
    wait_for 60 sql -e 'select 1' || failed "MariaDB does not answer" "$place/log/start" "$place/sql/log.err"
}

start_accounting() {
    (
        umask 077
        cat >"$place/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket
SlurmUser=root
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$((port + 8))
CommunicationParameters=NoInAddrAny
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=arex_slurm
PidFile=$place/run/slurmdbd.pid
LogFile=$place/log/slurmdbd
CommitDelay=1
CONF
    )
    start slurmdbd "$place/run/slurmdbd.pid" "$place/log/slurmdbd" \
        MYSQL_UNIX_PORT="$place/sql/socket" slurmdbd
    wait_for 60 sacctmgr -n list cluster || failed "slurmdbd does not answer" "$place/log/slurmdbd"
}

# What is there already is not an error of sacctmgr's, but it says so with an exit code.
record() { sacctmgr -i -Q add "$@" >>"$place/log/accounts" 2>&1 || true; }

fill_accounting() {
    record cluster "$name"
    record qos tiny
    sacctmgr -i -Q modify qos tiny set MaxSubmitJobsPerUser=5 Flags=DenyOnLimit >>"$place/log/accounts" 2>&1 ||
        failed "the QOS can't be set" "$place/log/accounts"
    record account grid Cluster="$name" Description=tests Organization=arex
    for user in root "$account"; do
        record user "$user" Account=grid Cluster="$name" DefaultAccount=grid
    done
    sacctmgr -i -Q modify user root "$account" where account=grid set qos=normal,tiny defaultqos=normal \
        >>"$place/log/accounts" 2>&1 || true
    [ "$(sacctmgr -n -P list assoc where account=grid cluster="$name" format=user,qos | sort)" = \
        "$(printf '%s\n' "|normal" "$account|normal,tiny" "root|normal,tiny" | sort)" ] ||
        failed "the accounts are not what they should be: $(sacctmgr -n -P list assoc format=user,qos)" \
            "$place/log/accounts"
}

start_controller() {
    start slurmctld "$place/run/slurmctld.pid" "$place/log/slurmctld" slurmctld
    wait_for 30 scontrol ping || failed "slurmctld does not answer" "$place/log/slurmctld"
}

start_node() {
    mkdir -p "$place/spool/$1"
    start slurmd "$place/run/slurmd-$1.pid" "$place/log/slurmd-$1" slurmd -N "$1"
}

# These nodes take jobs: usable NODE...
# One that was lost or drained before is asked to come back.
usable() {
    bad=
    for each; do
        case $(sinfo -h -N -p main -n "$each" -o %T) in
            idle | mixed | allocated) ;;
            *)
                bad="$bad $each"
                scontrol update NodeName="$each" State=RESUME || true # refused while it is out of reach
                ;;
        esac
    done
    [ -z "$bad" ]
}

up() {
    must_be_root
    make_account
    packages slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge procps \
        ${dbd:+slurmdbd slurm-wlm-mysql-plugin mariadb-server mariadb-client}
    keep_ports "$port" "$((port + 9))"
    mkdir -p "$place/controller" "$place/log" "$place/run" "$place/spool"
    chmod 700 "$place/controller"
    living "$place/run/slurmctld.pid" slurmctld >/dev/null || configure
    start_munge
    if [ -n "$dbd" ]; then
        start_database
        start_accounting
        fill_accounting
    fi
    start_controller
    for each in $nodes; do start_node "$each"; done
    # shellcheck disable=SC2086 # a list
    wait_for 60 usable $nodes || {
        sinfo -N -l >&2 || true
        failed "the nodes don't become idle" "$place/log/slurmctld" "$place/log/slurmd-n1"
    }
    say "$(sinfo -V) is up: $(sinfo -h -p main -o '%D nodes, %C CPUs (allocated/idle/other/total)' | head -n 1)." \
        "To use it: export SLURM_CONF=$SLURM_CONF"
}

# The processes of a node's jobs: those that write its log, and those with its name in their environment, which may
# have left their family. Another SLURM of this machine may have a node of that name.
of_jobs() {
    for each in $(pgrep -x slurmstepd); do
        ! readlink "/proc/$each/fd/"* | grep -qFx "$place/log/slurmd-$1" || echo "$each"
    done
    for each in $(with_environment "SLURMD_NODENAME=$1"); do
        ! grep -qsazFx -e "SLURM_CONF=$SLURM_CONF" "/proc/$each/environ" || echo "$each"
    done
}

# Kill nodes and their jobs: kill_nodes NODE...
kill_nodes() {
    members=
    for each; do
        ! daemon=$(living "$place/run/slurmd-$each.pid" slurmd) || members="$members $daemon"
    done
    # shellcheck disable=SC2086 # numbers
    [ -z "$members" ] || kill -STOP $members
    daemons=$members
    for node_of; do members="$members $(of_jobs "$node_of")"; done
    # shellcheck disable=SC2086 # numbers
    slay $members
    for daemon in $daemons; do
        wait_for 10 ended "$daemon" || die "slurmd (process $daemon) can't be killed"
    done
    for each; do rm -f "$place/run/slurmd-$each.pid"; done
}

no_jobs() { list=$(squeue -h -o %i) && [ -z "$list" ]; }

down() {
    must_be_root
    [ -e "$SLURM_CONF" ] || return 0
    if living "$place/run/slurmctld.pid" slurmctld >/dev/null && timeout 15 squeue -h -o %u >"$place/run/users"; then
        sort -u "$place/run/users" | while read -r user; do timeout 30 scancel -u "$user"; done
        wait_for 8 no_jobs || say "jobs are left, and are killed"
    fi
    # before the nodes, since it would wait for their answers
    end "$place/run/slurmctld.pid" slurmctld
    # shellcheck disable=SC2086 # a list
    kill_nodes $nodes
    rmdir /sys/fs/cgroup/*/slurm_n[1-4] 2>/dev/null || true
    end "$place/run/slurmdbd.pid" slurmdbd
    end "$place/sql/pid" mariadbd
    end "$place/munge/pid" munged
    [ -z "$purge" ] || rm -rf "$place"
    say "SLURM of $place is down"
}

wants_node() { [ -n "$node" ] || die "say which node: $nodes"; }
case $command in
    up | down | *-controller | *-node) must_be_root && one_at_a_time slurm "$command" "$@" ;;
esac
case $command in
    up) up ;;
    down)
        if [ -z "$dbd" ] && [ -e "$clusters/slurm-dbd/slurm.conf" ]; then
            sh "$0" down --dbd ${purge:+--purge}
        fi
        down
        ;;
    env) exports SLURM_CONF "$SLURM_CONF" ;;
    stop-controller) end "$place/run/slurmctld.pid" slurmctld ;;
    start-controller) start_controller ;;
    kill-node)
        wants_node
        living "$place/run/slurmd-$node.pid" slurmd >/dev/null || die "$node does not run"
        kill_nodes "$node"
        ;;
    start-node)
        wants_node
        # otherwise the jobs that it had are missed half a minute later
        living "$place/run/slurmd-$node.pid" slurmd >/dev/null ||
            scontrol update NodeName="$node" State=DOWN Reason="lost power"
        start_node "$node"
        wait_for 30 usable "$node" || failed "$node does not come back" "$place/log/slurmd-$node"
        ;;
    *) usage ;;
esac
