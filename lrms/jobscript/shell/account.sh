# shellcheck shell=sh
# A batch system may start a job with an empty environment.

export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}" USER="${USER:-@USER@}"
export LOGNAME="${LOGNAME:-$USER}"
[ "${LC_ALL:-}" != C ] || unset LC_ALL # the daemon speaks it with the batch system
