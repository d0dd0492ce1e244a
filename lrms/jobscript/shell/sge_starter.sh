#!/bin/sh
# Runs the job script. Its exit code is in its completion record, so that Grid Engine only needs success or failure:
# 99 and 100 would mean "run it again" and "error, stop" to it.

/bin/sh @SCRIPT@
arex_code=$?
case $arex_code in 99 | 100) arex_code=1 ;; esac
exit "$arex_code"
