#!/usr/bin/env bash
# Compares the emulated network scenes with links between network namespaces. Linux, root.
#
#     bash scripts/network-check.sh [lan|wan] [RUNS]
#
# Dealer, two servers and client run with configurations as operators write them, three times: over loopback, over
# loopback with the scene in every configuration, and each in a network namespace of its own behind links with that delay
# and rate. There the kernel's own TCP does what it does: slow start, windows, acknowledgements. The servers' configurations
# always say the same distance, so that they run the same program. The medians of routes of one prompt (padded to 32
# tokens) are printed.
#
# The links are veth pairs with `tc netem`. Where the kernel has no netem, they are TUN devices that scripts/delay_relay.py
# joins: the same TCP above, a program instead of a queue below (MTU, default 9000, spares it packets).
# BLINDROUTE names the program, by default target/release/blindroute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scene=${1:-wan}
runs=${2:-7}
case $scene in
lan) delay=0.1 megabits=10000 ;;
wan) delay=20 megabits=400 ;;
*) printf 'there is no scene %s; the scenes are lan and wan\n' "$scene" >&2 && exit 2 ;;
esac
program=$(realpath "${BLINDROUTE:-target/release/blindroute}")
mtu=${MTU:-9000}
home=$(mktemp -d)
spaces=()
services=()
relay=

stop_services() {
    for process in "${services[@]+"${services[@]}"}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    services=()
}
clean() {
    stop_services
    if [ -n "$relay" ]; then kill "$relay" 2>/dev/null || true; fi
    for space in "${spaces[@]+"${spaces[@]}"}"; do
        ip netns del "$space" 2>/dev/null || true
    done
    rm -rf "$home"
}
trap clean EXIT

"$program" certificates --out "$home/certificates" >/dev/null 2>&1
"$program" bundle split --out "$home/bundle" >/dev/null 2>&1
prompt='A company sells three kinds of boxes and wants to know how many of each it should make next month.'
for ((run = 0; run <= runs; run++)); do
    printf '{"id": %d, "prompt": "%s"}\n' "$run" "$prompt"
done >"$home/prompts.jsonl"

# configure ROLE LINES ADDRESSES NETWORK
configure() {
    cat >"$home/$1.toml" <<END
$2
bundle = "bundle/public.bin"
[identity]
authority = "certificates/authority.pem"
certificate = "certificates/$1.pem"
key = "certificates/$1.key"
$3
END
}

# measure NAME ADDRESS0 ADDRESS1 ADDRESS_DEALER TABLE [spaces]: starts the services, routes, prints the medians.
measure() {
    local name=$1 zero=$2:4100 one=$3:4101 dealer=$4:4102 table=$5
    shift 5
    # A new ledger each time; sessions never meet.
    rm -rf "$home"/state-*
    configure dealer "listen = \"$dealer\"
state = \"state-dealer\"" "$table"
    configure server0 "party = 0
listen = \"$zero\"
dealer = \"$dealer\"
share = \"bundle/share0.bin\"
state = \"state-server0\"" "$table
$distance"
    configure server1 "party = 1
listen = \"$one\"
peer = \"$zero\"
dealer = \"$dealer\"
share = \"bundle/share1.bin\"
state = \"state-server1\"" "$table
$distance"
    configure client "server0 = \"$zero\"
server1 = \"$one\"" "$table"
    start dealer "$@" dealer
    start server0 "$@" server --party 0
    start server1 "$@" server --party 1
    local inside=()
    if [ "${1:-}" = spaces ]; then inside=(ip netns exec "blindroute-client-$$"); fi
    "${inside[@]+"${inside[@]}"}" "$program" route --json --config "$home/client.toml" \
        --input "$home/prompts.jsonl" >"$home/answers.jsonl" || { cat "$home/answers.jsonl" "$home"/*.log; exit 1; } >&2
    stop_services
    python3 - "$name" "$home/answers.jsonl" <<'END'
import json, statistics, sys
# The first sets the model up.
rows = [json.loads(line) for line in open(sys.argv[2])][1:]
online = sorted(row["ms"]["online"] for row in rows)
offline = statistics.median(row["ms"]["offline"] for row in rows)
sent = rows[0]["bytes"]["server0_sent"] / 1e6
print(f"{sys.argv[1]:<28} online {statistics.median(online):8.1f} ms ({online[0]:.1f} to {online[-1]:.1f}), "
      f"offline {offline:8.1f} ms, {rows[0]['openings']} openings, {sent:.1f} MB each server, {len(rows)} runs")
END
}

# start ROLE [spaces] COMMAND...: starts a service and waits until it listens.
start() {
    local role=$1 inside=()
    shift
    if [ "$1" = spaces ]; then
        inside=(ip netns exec "blindroute-$role-$$")
        shift
    fi
    # What it said last time is no announcement.
    rm -f "$home/$role.out"
    "${inside[@]+"${inside[@]}"}" "$program" "$@" --config "$home/$role.toml" >"$home/$role.out" 2>"$home/$role.log" &
    services+=($!)
    for ((wait = 0; wait < 600; wait++)); do
        if grep -q listening "$home/$role.out" 2>/dev/null; then return; fi
        if ! kill -0 "${services[-1]}" 2>/dev/null; then break; fi
        sleep 0.1
    done
    printf '%s does not listen; it said:\n' "$role" >&2
    cat "$home/$role.log" >&2
    exit 1
}

distance="[between_servers]
delay_milliseconds = $delay
megabits_per_second = $megabits.0"
printf 'scene %s: %s ms one way, %s Mbit/s\n' "$scene" "$delay" "$megabits"
measure loopback 127.0.0.1 127.0.0.1 127.0.0.1 ''
measure emulated 127.0.0.1 127.0.0.1 127.0.0.1 "[network]
delay_milliseconds = $delay
megabits_per_second = $megabits.0"

# A namespace for each party, 10.77.0.1 and so on.
roles=(server0 server1 dealer client)
for role in "${roles[@]}"; do
    ip netns add "blindroute-$role-$$"
    spaces+=("blindroute-$role-$$")
    ip -n "blindroute-$role-$$" link set lo up
done
if error=$(ip netns exec "blindroute-client-$$" tc qdisc add dev lo root netem delay 1ms 2>&1); then
    ip netns exec "blindroute-client-$$" tc qdisc del dev lo root
    how='veth and netem'
    ip netns add "blindroute-switch-$$"
    spaces+=("blindroute-switch-$$")
    ip -n "blindroute-switch-$$" link add switch type bridge
    ip -n "blindroute-switch-$$" link set switch up
    for number in 1 2 3 4; do
        space=blindroute-${roles[number - 1]}-$$
        ip -n "$space" link add link0 mtu "$mtu" type veth peer name "port$number" mtu "$mtu" netns "blindroute-switch-$$"
        ip -n "blindroute-switch-$$" link set "port$number" master switch up
        ip -n "$space" addr add "10.77.0.$number/24" dev link0
        ip -n "$space" link set link0 up
        ip netns exec "$space" tc qdisc add dev link0 root netem delay "${delay}ms" rate "${megabits}mbit" limit 100000
    done
else
    how='TUN and relay'
    printf 'tc netem: %s; a relay takes its place\n' "$error"
    python3 scripts/delay_relay.py "$delay" "$megabits" "${spaces[@]}" >"$home/relay.out" &
    relay=$!
    until grep -q ready "$home/relay.out"; do sleep 0.1; done
    for number in 1 2 3 4; do
        space=blindroute-${roles[number - 1]}-$$
        ip -n "$space" addr add "10.77.0.$number/24" dev link0
        ip -n "$space" link set link0 mtu "$mtu" up
    done
fi
measure "namespaces ($how)" 10.77.0.1 10.77.0.2 10.77.0.3 '' spaces
# The kernel forgets how fast a link was whenever it rests; the servers' links rest while they compute.
for space in "${spaces[@]}"; do
    ip netns exec "$space" sh -c 'echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle' 2>/dev/null || true
done
measure 'the same, windows kept' 10.77.0.1 10.77.0.2 10.77.0.3 '' spaces
