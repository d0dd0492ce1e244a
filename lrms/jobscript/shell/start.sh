# shellcheck shell=sh
# The first lines of every job script. The directive below is for the generated script: texts of the job are data in
# single quotes (SC1003, SC2016), os-release is that of the node (SC1091), runtime environments read variables (SC2034),
# the move tool is a command (SC2209), traps call functions (SC2317, SC2329), and cputime.sh needs "ulimit -t" (SC3045).

#@FIRST@
# shellcheck disable=SC1003,SC1091,SC2016,SC2034,SC2209,SC2317,SC2329,SC3045
umask 077
