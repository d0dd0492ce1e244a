#!/bin/sh
#SBATCH --no-requeue
#SBATCH --export=ALL
#SBATCH --open-mode=append
#SBATCH --partition=main
#SBATCH --nice=50
#SBATCH --job-name=part
#SBATCH --ntasks=1
#SBATCH --mem-per-cpu=1000
#SBATCH --account=physics
#SBATCH --qos=long
#SBATCH --constraint=avx2
#SBATCH --exclude=n1
arex_root=/TOP/session
[ -z "${RUNTIME_GRIDAREA_DIR:-}" ] || arex_root=$RUNTIME_GRIDAREA_DIR
case $SLURM_ARRAY_TASK_ID in
1) arex_child=job1.lrms/job1-0a0b0c0d ;;
2) arex_child=job2.lrms/job2-0a0b0c0d ;;
3) arex_child=job3.lrms/job3-0a0b0c0d ;;
*) echo "no child $SLURM_ARRAY_TASK_ID in this array" >&2; exit 1 ;;
esac
# shellcheck source=/dev/null
. "$arex_root/$arex_child/script"
