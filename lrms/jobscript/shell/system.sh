# shellcheck shell=sh disable=SC2034
# Name of the operating system, read without a further process: sourcing the file would change variables of the job.
# Variables go to other parts of the script (SC2034).

arex_system=
while IFS= read -r arex_line || [ -n "$arex_line" ]; do
    case $arex_line in PRETTY_NAME=*) arex_system=${arex_line#*=} && break ;; esac
done 2>/dev/null </etc/os-release
arex_system=${arex_system#[\"\']} arex_system=${arex_system%[\"\']}
