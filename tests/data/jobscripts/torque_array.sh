#!/bin/sh
#PBS -S /bin/bash
#PBS -N part
#PBS -j oe
#PBS -m n
#PBS -r n
#PBS -q main
#PBS -l nodes=1:ppn=1
arex_root=/TOP/session
[ -z "${RUNTIME_GRIDAREA_DIR:-}" ] || arex_root=$RUNTIME_GRIDAREA_DIR
case $PBS_ARRAYID in
1) arex_child=job1.lrms/job1-0a0b0c0d ;;
2) arex_child=job2.lrms/job2-0a0b0c0d ;;
3) arex_child=job3.lrms/job3-0a0b0c0d ;;
*) echo "no child $PBS_ARRAYID in this array" >&2; exit 1 ;;
esac
# shellcheck source=/dev/null
exec /bin/bash -l "$arex_root/$arex_child/script"
