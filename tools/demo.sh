#!/bin/sh
# A real job on this machine, from submission to results: demo.sh VENV
#
# Everything is written below ./demo-run, and the service is stopped at the end.
set -eu

venv=$(cd "$1" && pwd)
here=$(pwd)
demo=$here/demo-run
allow=
if [ "$(id -u)" = 0 ]; then
    echo "You are root. arex refuses that, since every job is root too; for this demo it gets the option --allow-root."
    allow=--allow-root
fi

say() { printf '\n--- %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
quoted() { printf '%s' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }

# an earlier demo may have been taken further, and its service may run
if [ -x "$demo/do" ]; then "$demo/do" arex stop >/dev/null 2>&1 || true; fi
rm -rf "$demo"
mkdir -p "$demo/home"

cat >"$demo/arc.conf" <<END
[common]

[lrms]
lrms = fork

[arex]
controldir = $demo/jobstatus
sessiondir = $demo/sessions
pidfile = $demo/arex.pid
logfile = $demo/arex.log
joblog = $demo/jobs.log

[arex/service]

[queue:fork]
END

# commands of the demo: the configuration above, and a separate home for the list of jobs
cat >"$demo/do" <<END
#!/bin/sh
unset ARC_LOCATION XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME X509_USER_PROXY X509_USER_CERT X509_USER_KEY
ARC_CONFIG=$(quoted "$demo/arc.conf") HOME=$(quoted "$demo/home") PATH=$(quoted "$venv/bin"):\$PATH
export ARC_CONFIG HOME PATH
exec "\$@"
END
chmod +x "$demo/do"

cat >"$demo/hello.sh" <<'END'
#!/bin/sh
echo "Hello from job $GRID_GLOBAL_JOBID"
echo "I run on $(uname -n) as $(id -un) in $PWD"
echo "my input says: $(cat greeting.txt)"
expr 6 '*' 7 >answer.txt
END
echo "good morning" >"$demo/greeting.txt"
cat >"$demo/hello.xrsl" <<'END'
&(executable = "hello.sh")
 (inputfiles = ("greeting.txt" ""))
 (outputfiles = ("answer.txt" ""))
 (stdout = "out.txt")
 (stderr = "err.txt")
 (gmlog = "log")
 (walltime = "5 minutes")
 (jobname = "hello")
END

cd "$demo"
finish() {
    code=$?
    trap - EXIT INT TERM
    say "The service is stopped"
    "$demo/do" arex stop || code=1
    if [ "$code" != 0 ]; then
        echo "The demo did not work. The end of the log, $demo/arex.log:" >&2
        tail -n 20 "$demo/arex.log" >&2 || true
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

say "The service is started, on the configuration demo-run/arc.conf"
# shellcheck disable=SC2086 # nothing or one word
show ./do arex start $allow

say "A job is sent, and waited for"
cat hello.xrsl
show ./do arcsub -S local --wait hello.xrsl

say "How it is"
show ./do arcstat -l hello

say "What it printed"
show ./do arccat hello

say "Its results are fetched; the job stays, so that you can look at it"
show ./do arcget --keep -J -D results hello
show cat results/hello/answer.txt

say "Where things are"
cat <<END
configuration       demo-run/arc.conf
control directory   demo-run/jobstatus      one small set of files for each job
session             demo-run/sessions       where jobs run
logs                demo-run/arex.log, demo-run/jobs.log; of the job itself: demo-run/results/hello/log/errors
results             demo-run/results/hello

How to go on, from the directory demo-run:
  ./do arex start $allow
  ./do arcsub -S local hello.xrsl
  ./do arcstat -a
  ./do arex stop
Without ./do, the same commands of $venv/bin work on your own
configuration and keep their files in your home: see README.md.
END
