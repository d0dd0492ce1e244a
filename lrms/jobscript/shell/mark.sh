# shellcheck shell=sh disable=SC2034,SC2154
# The start marker.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

# one copy of an attempt runs, whatever a batch system makes of a doubtful submission
set -C
if ! printf '%s' "${arex_id:+id $arex_id
}" 2>/dev/null >"$arex_rundir/started"; then
    trap - EXIT TERM
    if [ -e "$arex_rundir/started" ]; then
        # not 0: if the batch system has started the same job again, that would count as success
        echo 'Another copy of this script has taken this attempt; this copy ends here.'
        exit 1
    fi
    printf 'The mark of this attempt can not be written to %s\n' "$arex_rundir"
    exit 1
fi
set +C
