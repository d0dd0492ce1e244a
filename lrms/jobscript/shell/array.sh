#!/bin/sh
# shellcheck disable=SC2154,SC2194,SC2317
# The launcher of an array starts the job script that an index stands for. The slots hide what shellcheck misses here:
# a variable after "case" (SC2194), and the branches that set arex_child and do not exit (SC2154, SC2317).

#@DIRECTIVES@
arex_root=@ROOT@
[ -z "${RUNTIME_GRIDAREA_DIR:-}" ] || arex_root=$RUNTIME_GRIDAREA_DIR
case @INDEX@ in
#@CHILDREN@
*) echo "no child @INDEX@ in this array" >&2; exit 1 ;;
esac
# shellcheck source=/dev/null
@START@ "$arex_root/$arex_child/script"
