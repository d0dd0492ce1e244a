# shellcheck shell=sh disable=SC2034,SC2154
# The PATH of the script itself, which the job may change, and where the files of the job are, as the front end sees
# them.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_own_path=$PATH
RUNTIME_JOB_DIR=@DIRECTORY@
RUNTIME_JOB_STDIN=@STDIN@
RUNTIME_JOB_STDOUT=@STDOUT@
RUNTIME_JOB_STDERR=@STDERR@
RUNTIME_JOB_DIAG=@DIAG@
arex_rundir=@RUNDIR@
