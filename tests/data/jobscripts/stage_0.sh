{
exec 3>&1 1>&2 </dev/null
CONFIG_x='it'"'"'s'
joboption_args='"./program" "$HOME" "it'"'"'s"'
arex_rte=/TOP/control/rte
joboption_directory='/TOP/session/job1'
joboption_controldir='/TOP/control'
joboption_arg_0='./program'
joboption_arg_1='$HOME'
joboption_arg_2='it'\''s'
joboption_stdin='/dev/null'
joboption_stdout='/TOP/session/job1/out.txt'
joboption_stderr='/TOP/session/job1/err.txt'
joboption_env_0='NAME=one two'
joboption_env_1=GRID_GLOBAL_JOBID=''
joboption_env_2=GRID_GLOBAL_JOBURL='https://ce.example.org/job1'
joboption_env_3=GRID_GLOBAL_JOBINTERFACE='org.nordugrid.internal'
joboption_env_4=GRID_GLOBAL_JOBHOST='ce.example.org'
joboption_cputime=
joboption_walltime=
joboption_memory=
joboption_virtualmemory=
joboption_disk=
joboption_count=1
joboption_runtime_0='APPS/X'
joboption_jobname='a job'
joboption_queue='main'
joboption_starttime=
joboption_gridid='job1'
joboption_priority=50
umask 077
arex_source() { arex_file=$1; shift; . "$arex_file"; }
arex_tell() {
    unset IFS
    set | while IFS= read -r arex_line; do
        arex_name=${arex_line%%=*}
        case $arex_name in
            *[!A-Za-z0-9_]*) ;;
            joboption_* | RUNTIME_* | ACCOUNTING_* | DOCKER_IMAGE)
                eval "[ -z \"\${$arex_name+x}\" ] || printf '%s\0%s\0' $arex_name \"\$$arex_name\"" >&3
                ;;
        esac
    done
    printf '%s\0\0' "$1" >&3
}
arex_tell begin
arex_n=0
while eval "[ -n \"\${joboption_runtime_$arex_n+x}\" ]"; do
    eval "arex_name=\$joboption_runtime_$arex_n"
    printf 'at\0%s\0' "$arex_name" >&3
    case /$arex_name/ in
        */../* | */./* | *//*) arex_script= ;;
        *)
            arex_script=$arex_rte/enabled/$arex_name
            [ -e "$arex_script" ] || arex_script=$arex_rte/default/$arex_name
            ;;
    esac
    if [ ! -e "$arex_script" ] || [ -d "$arex_script" ]; then
        echo "Requested RunTimeEnvironment $arex_name is missing, broken or not enabled."
        exit 1
    fi
    set -- 0
    arex_m=1
    while eval "[ -n \"\${joboption_runtime_${arex_n}_$arex_m+x}\" ]"; do
        eval "set -- \"\$@\" \"\$joboption_runtime_${arex_n}_$arex_m\""
        arex_m=$((arex_m + 1))
    done
    if [ -s "$arex_script" ]; then
        if [ -f "$arex_rte/params/$arex_name" ]; then . "$arex_rte/params/$arex_name"; fi
        arex_source "$arex_script" "$@" 3>&-
        arex_code=$?
        set +eu
        [ "$arex_code" = 0 ] || exit "$arex_code"
    fi
    arex_n=$((arex_n + 1))
    if [ "$arex_n" -ge 100 ]; then
        echo "More than 100 runtime environments"
        exit 1
    fi
done
arex_tell end
exit 0
}
