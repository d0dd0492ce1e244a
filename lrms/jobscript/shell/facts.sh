# shellcheck shell=sh disable=SC2034,SC2154
# Accounting lines that are known before the payload runs.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

#@QUERIES@
printf '%s\n' @LINES@ >>"$RUNTIME_JOB_DIAG"
