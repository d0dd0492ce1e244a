#!/bin/sh
# Run tests on another date or another kind of machine: test-shifted.sh LEG VENV [PYTEST-ARGUMENT...]
#
# LEG is one of
#   +1d +40d +400d           all clocks and the times of new files are that many days ahead; others will do, too
#   dst-spring dst-autumn    summer time begins or ends in the second minute of the run, in Europe/Berlin
#   st-johns                 the time zone is America/St_Johns, three and a half hours behind UTC
#   c-locale                 the locale is C
#   utf8-locale              the locale is de_DE.UTF-8: another decimal point, other names of months
#   spool                    an ordinary user, on a machine where /var/spool/arc is closed to all but root
#   arc-conf                 /etc/arc.conf, the variables and the credentials of the account are those of another ARC
#   combined                 +400d, st-johns, utf8-locale and arc-conf at once
#   all                      each of these but the last, one after another
# Without arguments for pytest, it runs all tests of tests/unit, tests/contract, tests/integration/cluster,
# tests/integration/credentials and tests/interop; with AREX_SHIFTED=quick, outside of tests/unit only the quick ones
# that depend on dates.
#
# This takes root and Debian. All changes are made in a private mount namespace (/etc, /usr/lib/locale, /var/spool,
# /var/tmp and /tmp are copies or empty there), so the machine stays as it is, and all processes of the tests see the
# changes, whatever their environment. Only packages that are missing are installed for good.
set -eu
PATH=$PATH:/usr/sbin:/sbin
export PATH

legs='+1d +40d +400d dst-spring dst-autumn st-johns c-locale utf8-locale spool arc-conf'
checkout=$(cd "$(dirname "$0")/.." && pwd)

fail() {
    echo "test-shifted.sh: $*" >&2
    exit 1
}

run_all() {
    failed=
    for leg in $legs; do
        sh "$0" "$leg" "$@" || failed="$failed $leg"
    done
    [ -z "$failed" ] || fail "failed:$failed"
}

# --- outside the namespace ---

outside() {
    case " $legs combined " in
        *" $1 "*) ;;
        *) echo "$1" | grep -Eqx '\+[1-9][0-9]*d' || fail "unknown leg '$1': choose one of $legs combined all" ;;
    esac
    [ "$(id -u)" = 0 ] || fail "needs root, for a private mount namespace: run it with sudo"
    sh "$checkout/tools/test-programs.sh"
    sh "$checkout/tools/test-programs.sh" unshare cc /usr/include/stdio.h localedef /usr/share/i18n/locales/de_DE \
        /usr/share/zoneinfo/America/St_Johns
    private=$(mktemp -d)
    trap 'rmdir "$private"' EXIT
    echo "=== $1"
    unshare --mount --propagation private sh "$0" --inside "$private" "$@"
}

# --- inside ---

replace() { # a directory by a private one, with the same contents if they matter
    mkdir -p "$private$1"
    [ "$2" = empty ] || cp -a "$1/." "$private$1"
    chmod --reference "$1" "$private$1"
    case $checkout in
        "$1"/*) mkdir -p "$private$checkout" && mount --bind "$checkout" "$private$checkout" ;;
    esac
    mount --rbind "$private$1" "$1"
}

# the first moment from now on when summer time begins (03) or ends (10) in the European Union
change_of_time() {
    year=$(date -u +%Y)
    for date in "$year" $((year + 1)); do
        for day in 25 26 27 28 29 30 31; do
            moment=$(date -u -d "$date-$1-$day 01:00" +%s)
            if [ "$(date -u -d "@$moment" +%u)" = 7 ] && [ "$moment" -gt $(($(date +%s) + 3600)) ]; then
                echo "$moment"
                return
            fi
        done
    done
}

set_clock() {
    before=$(date +%s)
    cc -shared -fPIC -O2 -Wall -Wextra -Werror -fvisibility=hidden "-DSTART_S=${before}L" "-DSHIFT_S=${1}L" \
        -o /etc/shifted-clock.so "$checkout/tools/shifted-clock.c"
    echo /etc/shifted-clock.so >/etc/ld.so.preload
    ahead=$(($(date +%s) - before - $1))
    case $ahead in [0-5]) ;; *) fail "the clock can't be shifted: it is $ahead s off" ;; esac
    date
}

set_zone() {
    TZ=$1
    export TZ
    ln -sf "/usr/share/zoneinfo/$1" /etc/localtime
    echo "$1" >/etc/timezone
}

set_locale() {
    if [ "$1" = de_DE.UTF-8 ]; then
        localedef -i de_DE -f UTF-8 --no-archive /usr/lib/locale/de_DE.utf8
        [ "$(LC_ALL=$1 locale decimal_point)" = , ] || fail "the locale $1 can't be used"
    fi
    LC_ALL=$1
    export LC_ALL
}

# arex knows no batch system of this name, and the credentials are none: whoever reads any of it fails
set_arc_conf() {
    ARC_CONFIG=/etc/arc.conf
    ARC_LOCATION=/opt/foreign-arc
    X509_USER_PROXY=/tmp/x509up_u0
    BEARER_TOKEN=@
    export ARC_CONFIG ARC_LOCATION X509_USER_PROXY BEARER_TOKEN
    mkdir -p "$home/.config/arex" "$home/.globus"
    for file in /tmp/x509up_u0 /tmp/bt_u0 "$home/.globus/usercert.pem" "$home/.config/arex/arc.conf"; do
        echo foreign >"$file"
    done
    cat >/etc/arc.conf <<'EOF'
[common]
hostname = foreign.example.org
[lrms]
lrms = boinc
[arex]
controldir = /nonexistent/jobstatus
sessiondir = /nonexistent/sessiondir
[queue:foreign]
EOF
}

set_spool() {
    mkdir -m 700 /var/spool/arc
    mkdir /var/spool/arc/sessiondir /var/spool/arc/jobstatus
    useradd --system --user-group --create-home --home-dir /var/tmp/arexshifted --shell /bin/sh arexshifted
    as_user='setpriv --reuid arexshifted --regid arexshifted --clear-groups'
    $as_user test -x "$venv/bin/python" || fail "an ordinary user cannot run $(readlink -f "$venv/bin/python") \
in $venv: check out elsewhere, or run make venv with another PYTHON"
    ! $as_user ls /var/spool/arc >/dev/null 2>&1 || fail "/var/spool/arc is not closed"
}

# a list of words, or nothing
# shellcheck disable=SC2086
pytest() {
    (
        cd "$checkout"
        $as_user env HOME="$home" PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY="$home/hypothesis" \
            "$venv/bin/python" -m pytest -p no:cacheprovider -q "$@"
    )
}

run_tests() {
    if [ $# -gt 0 ]; then
        pytest "$@"
        return
    fi
    if [ "${AREX_SHIFTED-}" = quick ]; then
        pytest -n "${JOBS:-2}" tests/unit tests/integration/credentials tests/contract/jobscript \
            tests/contract/test_sandbox.py
        pytest -n "${WAITING:-4}" --dist loadfile -p no:randomly tests/interop/test_checklist.py \
            tests/interop/test_control_files.py -k '6_17 or test_control_files'
        return
    fi
    pytest -n "${JOBS:-2}" tests/unit tests/contract tests/integration/cluster tests/integration/credentials
    pytest -n "${WAITING:-4}" --dist loadfile -p no:randomly tests/interop
}

inside() {
    private=$1 leg=$2 venv=$(cd "$3" && pwd) as_user=
    shift 3
    mount -t tmpfs -o mode=755 tmpfs "$private"
    replace /etc same
    replace /usr/lib/locale same
    replace /var/spool empty
    replace /var/tmp empty
    # the last one: it hides what is private. With another clock pytest would remove the directories of other runs.
    replace /tmp empty
    unset TMPDIR
    [ -x "$venv/bin/python" ] || fail "$venv is not there any more: put it into $checkout, or outside of /tmp and /var/tmp"
    home=/var/tmp/home
    [ "$leg" != spool ] || set_spool
    mkdir "$home"
    [ "$leg" != spool ] || chown arexshifted "$home"

    # with the date of today: package indexes have certificates that expire. What depends on dates is made anew.
    $as_user env HOME="$home" sh "$checkout/tools/interop-setup.sh" "$venv"
    case $leg in
        +*) days=${leg#+} && set_clock $((${days%d} * 86400)) ;;
        dst-spring) set_zone Europe/Berlin && set_clock $(($(change_of_time 03) - $(date +%s) - 90)) ;;
        dst-autumn) set_zone Europe/Berlin && set_clock $(($(change_of_time 10) - $(date +%s) - 90)) ;;
        st-johns) set_zone America/St_Johns ;;
        c-locale) set_locale C ;;
        utf8-locale) set_locale de_DE.UTF-8 ;;
        arc-conf) set_arc_conf ;;
        combined)
            set_zone America/St_Johns
            set_locale de_DE.UTF-8
            set_arc_conf
            set_clock $((400 * 86400))
            ;;
    esac
    run_tests "$@"
}

case ${1-} in
    '') fail "name a leg: $legs combined all" ;;
    --inside) shift && inside "$@" ;;
    all) shift && run_all "$@" ;;
    *) outside "$@" ;;
esac
