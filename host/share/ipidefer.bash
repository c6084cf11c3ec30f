# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for ipidefer(1).

# Of the folder and the owners that this command line is about.
_ipidefer_vms() {
    local -a place=()
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --shm-dir | --owner) place+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
        esac
    done
    "${COMP_WORDS[0]}" "${place[@]}" list --names 2>/dev/null
}

_ipidefer() {
    local current=${COMP_WORDS[COMP_CWORD]} previous='' command='' part='' word
    ((COMP_CWORD > 0)) && previous=${COMP_WORDS[COMP_CWORD - 1]}
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $command/$word in
        /list | /stat | /top | /policy | /trace | /blame | /check | /domain | /lab | /bench) command=$word ;;
        lab/run | lab/compare | lab/show | lab/box | lab/kvm | lab/kvm-report | bench/core | bench/kvm)
            part=$word
            break
            ;;
        esac
    done
    # Names of VMs are lines: they may have blanks in them.
    local options='' words='' vms='' files=''
    case $command${part:+ $part} in
    '') options='--help --version --shm-dir --owner' words='list stat top policy trace blame check domain lab bench' ;;
    list) options='--json --clean --names --help' ;;
    stat) options='--interval --count --json --help' vms=yes ;;
    top) options='-1 -d --delay -i --isolated -p --vm --json --help' ;;
    policy)
        options='--isolated --user --guest --idle --vector --max-age --off --on --json --help'
        vms=yes
        ;;
    trace)
        options='-e --event -f --filter --format --json -o --output --duration --count
            --buffered --backlog --read-only --guest-trace --tsc-offset --help'
        vms=yes
        ;;
    blame)
        options='--domain --pid --vcpus -s --sum --stacks --duration --live --interval --json
            --help'
        vms=yes
        ;;
    check) options='--domain --domain-xml --guest-config --connect --probe --json --help' ;;
    domain)
        options='--from --isolated --host-isolated --host-housekeeping --emulator --mode
            --segment --replace --probe --no-probe --check -o --output --json --help'
        ;;
    lab) options='--help --version --shm-dir' words='run compare show box kvm kvm-report' ;;
    'lab run')
        options='--modes --cpus --isolated --mem --accel --irqchip --pin --qemu --kernel
            --initrd --append --modules --overlay --workload --name --json --html --keep-logs
            --timeout --retries --repeat --seed --sweep --nested --list-workloads --help'
        ;;
    'lab show') options='--as --output --mode --workload --help' files=yes ;;
    'lab compare') options='--fail-if --across --json --help' files=yes ;;
    'lab box')
        options='--cpus --isolated --mem --qemu --kernel --append --share --console
            --timeout --help'
        ;;
    'lab kvm') options='--qemu --kernel --help' ;;
    'lab kvm-report') options='--output --workload --pin --rounds --qemu --kernel --help' ;;
    bench) options='--help --version' words='core kvm' ;;
    'bench core') options='--help' ;;
    'bench kvm') options='--rounds --window --pin --json --help' ;;
    esac
    # It takes a file here, and nothing elsewhere.
    [[ $part && $previous == --json ]] && previous=--output
    case $previous in
    --user | --guest | --idle | --segment) options='' vms='' words='on off' ;;
    --modes) options='' words='off guest hv kvm' ;;
    --accel) options='' words='auto tcg kvm' ;;
    --irqchip) options='' words='on split' ;;
    --as) options='' words='csv hgrm html junit markdown oslat' files='' ;;
    --across) options='' words='kernel qemu accelerator' files='' ;;
    --fail-if) options='' words='' files='' ;;
    --mode) options='' words='hv guest off' ;;
    --domain) options='' vms='' words=$(virsh list --all --name 2>/dev/null) ;;
    --format) options='' vms='' words='text json perfetto' ;;
    -e | --event) options='' vms='' words='ipi_send ipi_verdict' ;;
    --vector) options='' vms='' words='sync_core=on sync_core=off kernel_tlbi=on kernel_tlbi=off' ;;
    -p | --vm) options='' vms=yes ;;
    --owner) options='' words='' vms='' ;;
    --shm-dir | -o | --output | --guest-trace | --from | --domain-xml | --guest-config | --emulator | \
        --qemu | --kernel | --initrd | --modules | --overlay | --workload | --html | --keep-logs | \
        --share | --console)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    if [[ $files && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
    fi
    [[ $current == -* ]] && words=$options vms=''
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    [[ $vms ]] || return
    # What was typed may be quoted; what is filled in has to be.
    local name typed=${current//\\/}
    while IFS= read -r name; do
        [[ $name == "$typed"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done < <(_ipidefer_vms)
}

complete -F _ipidefer ipidefer
