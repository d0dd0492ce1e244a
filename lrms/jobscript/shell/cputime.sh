# shellcheck shell=sh disable=SC2034,SC3045
# Most batch systems do not watch the CPU time: the kernel counts it, process by process. end.sh reads the signal that
# it sends (SC2034). POSIX has no "ulimit -t", but every shell that runs jobs has it; one that has not goes on (SC3045).

ulimit -S -t @SECONDS@ 2>/dev/null && arex_xcpu=24
