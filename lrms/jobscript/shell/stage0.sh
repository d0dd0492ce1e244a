# shellcheck shell=sh disable=SC1090,SC2030,SC2031,SC2034
# The program of stage 0, which a shell reads from standard input: see lrms/jobscript/stage0.py. It sources files that
# are known only when it runs (SC1090), which read its variables (SC2034). arex_tell works with its own copy of
# arex_name, in the subshell of its pipe (SC2030, SC2031).

{
exec 3>&1 1>&2 </dev/null
#@VARIABLES@
joboption_args=@ARGS@
arex_rte=@RTE@
#@OPTIONS@
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
