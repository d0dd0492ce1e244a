#!/bin/sh
# Run a command where a user manager of systemd, or cron, starts services: booted.sh systemd|cron COMMAND...
#
# /run and the crontabs are private to it, so nothing of this host is changed. logind is not there: the account keeps
# no processes after a logout, so loginctl only notes that it was asked.
set -eu
manager=$1
shift
if [ -z "${AREX_BOOTED:-}" ]; then
    # the pid namespace ends everything that is left with this script
    exec env AREX_BOOTED=1 unshare --mount --pid --fork --kill-child --mount-proc -- "$0" "$manager" "$@"
fi
PATH=$HOME/programs:$PATH:/usr/sbin:/sbin
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$HOME/programs" "/run/user/$(id -u)"
case $manager in
    systemd)
        mkdir -p /run/systemd/system
        XDG_RUNTIME_DIR=/run/user/$(id -u)
        export XDG_RUNTIME_DIR PATH
        # shellcheck disable=SC2016
        printf '%s\n' '#!/bin/sh' 'echo "$*" >>"$HOME/loginctl.log"' 'echo Linger=yes' >"$HOME/programs/loginctl"
        chmod 755 "$HOME/programs/loginctl"
        /lib/systemd/systemd --user >"$HOME/manager.log" 2>&1 &
        until systemctl --user is-system-running --quiet 2>/dev/null; do sleep 0.1; done
        ;;
    cron)
        mount -t tmpfs -o mode=1730 tmpfs /var/spool/cron
        mkdir -m 1730 /var/spool/cron/crontabs
        chgrp crontab /var/spool/cron/crontabs
        # as on a machine without systemd
        printf '%s\n' '#!/bin/sh' 'exit 1' >"$HOME/programs/systemctl"
        chmod 755 "$HOME/programs/systemctl"
        export PATH
        ;;
esac
exec "$@"
