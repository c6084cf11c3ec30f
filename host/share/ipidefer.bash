# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for ipidefer(1).

_ipidefer_vms() {
    local file
    for file in "${IPIDEFER_SHM_DIR:-/dev/shm}"/ipidefer.*; do
        [[ -e $file ]] && printf '%s\n' "${file##*/ipidefer.}"
    done
}

_ipidefer() {
    local current=${COMP_WORDS[COMP_CWORD]} previous= command= word
    ((COMP_CWORD > 0)) && previous=${COMP_WORDS[COMP_CWORD - 1]}
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
        list | stat | top | policy | trace | check | domain | lab | bench)
            command=$word
            break
            ;;
        esac
    done
    local options= words=
    case $command in
    '') options='--help --version --shm-dir' words='list stat top policy trace check domain lab bench' ;;
    list) options='--json --clean --help' ;;
    stat) options='--interval --count --json --help' words=$(_ipidefer_vms) ;;
    top) options='-1 -d --delay -i --isolated -p --vm --json --help' ;;
    policy)
        options='--isolated --user --guest --idle --vector --max-age --off --on --json --help'
        words=$(_ipidefer_vms)
        ;;
    trace)
        options='-e --event -f --filter --format --json -o --output --duration --count
            --buffered --backlog --read-only --guest-trace --tsc-offset --help'
        words=$(_ipidefer_vms)
        ;;
    check) options='--domain --domain-xml --connect --probe --json --help' ;;
    domain)
        options='--from --isolated --host-isolated --host-housekeeping --emulator --mode
            --segment --replace --probe --no-probe --check -o --output --json --help'
        ;;
    lab) words=run ;;
    bench) words=core ;;
    esac
    case $previous in
    --user | --guest | --idle | --segment) options= words='on off' ;;
    --mode) options= words='hv guest off' ;;
    --domain) options= words=$(virsh list --all --name 2>/dev/null) ;;
    --format) options= words='text json perfetto' ;;
    -e | --event) options= words='ipi_send ipi_verdict' ;;
    --vector) options= words='sync_core=on sync_core=off kernel_tlbi=on kernel_tlbi=off' ;;
    -p | --vm) options= words=$(_ipidefer_vms) ;;
    --shm-dir | -o | --output | --guest-trace | --from | --domain-xml | --emulator)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    [[ $current == -* ]] && words=$options
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _ipidefer ipidefer
